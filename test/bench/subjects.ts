// What is compared: how each subject is started for one container, how it says that it is ready, and which processes
// it consists of.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Link, LinkOptions, Namespace } from "./namespaces.ts";
import { joinDirect } from "./namespaces.ts";
import { type Child, isLiving, livingProcesses, start, until } from "./process.ts";

export const SUBJECTS = ["direct", "bucatini", "pasta", "slirp4netns"] as const;
export type Subject = (typeof SUBJECTS)[number];

/** Executables of the engines. */
export interface Paths {
  readonly bucatini: string;
  readonly pasta: string;
  readonly slirp4netns: string;
  /** Scratch folder for PID files. */
  readonly scratch: string;
}

export interface Request {
  readonly container: Namespace;
  readonly peer: Namespace;
  readonly link: LinkOptions;
  readonly mtu: number;
  readonly family: 4 | 6;
  /** Ports to forward, as words of the command line. */
  readonly forward: readonly string[];
  readonly paths: Paths;
}

/** A connected container. */
export interface Running {
  /** Living processes of the engine; none for "direct". */
  readonly pids: () => number[];
  /** From the start of the command until it says that it is ready, in ms. */
  readonly readyMilliseconds: number;
  readonly stop: () => Promise<void>;
}

/** A container without any connection. */
export const UNCONNECTED: Running = {
  pids: () => [],
  readyMilliseconds: 0,
  stop: () => Promise.resolve(),
};

/** Connects the container by `subject`; the container's addresses are usable when it returns. */
export async function startSubject(subject: Subject, request: Request): Promise<Running> {
  if (subject === "direct") return direct(request);
  const before = livingProcesses();
  const begin = performance.now();
  const child = start(ENGINES[subject].command(request));
  const engine = (): number[] => [...livingProcesses()].filter((pid) => !before.has(pid));
  const stop = async (): Promise<void> => stopAll(child, engine());
  try {
    await until(`${subject} to be ready`, 15, () => {
      const status = child.status() ?? 0;
      if (status !== 0) throw new Error(`exit status ${status}`);
      return ENGINES[subject].isReady(child, request);
    });
    const readyMilliseconds = performance.now() - begin;
    await until(`addresses in the container: ${message(child)}`, 5, () => hasAddresses(request));
    const started = engine();
    return { pids: () => started.filter((pid) => isLiving(pid)), readyMilliseconds, stop };
  } catch (cause) {
    const output = message(child);
    await stop();
    throw new Error(`${subject} did not start: ${output}`, { cause });
  }
}

async function direct(request: Request): Promise<Running> {
  const link: Link = await joinDirect(request.container, request.peer, request.link);
  return { pids: () => [], readyMilliseconds: 0, stop: link.remove };
}

interface Engine {
  readonly command: (request: Request) => string[];
  /** Has the command, with this exit status so far, said that it is ready? */
  readonly isReady: (child: Child, request: Request) => boolean;
}

const ENGINES: Readonly<Record<Exclude<Subject, "direct">, Engine>> = {
  bucatini: {
    command: ({ paths, mtu, forward, container }) => [
      paths.bucatini,
      "attach",
      "--mtu",
      String(mtu),
      ...forward,
      String(container.pid),
    ],
    isReady: (child) => child.status() === 0,
  },
  pasta: {
    command: (request) => {
      // It forwards what it finds unless it is told not to.
      const others = ["-t", "-u", "-T", "-U"].filter((option) => !request.forward.includes(option));
      const ports = [...request.forward, ...others.flatMap((option) => [option, "none"])];
      const link = ["--config-net", "--mtu", String(request.mtu), "--pid", pidFile(request)];
      return [request.paths.pasta, ...link, ...ports, String(request.container.pid)];
    },
    isReady: (_, request) => contents(pidFile(request)) !== "",
  },
  slirp4netns: {
    command: ({ paths, mtu, family, container }) => {
      const options = [
        "--configure",
        `--mtu=${mtu}`,
        "--ready-fd=3",
        ...(family === 6 ? ["--enable-ipv6"] : []),
      ];
      return [paths.slirp4netns, ...options, String(container.pid), "tap0"];
    },
    isReady: (child) => child.output().stdout.includes("1"),
  },
};

/** A default route, and for IPv6 no address that is still being checked for duplicates (flag 0x40, scope global). */
function hasAddresses(request: Request): boolean {
  const proc = `/proc/${request.container.pid}/net`;
  if (request.family === 4) return /^\S+\t00000000\t/m.test(contents(`${proc}/route`));
  const addresses = contents(`${proc}/if_inet6`)
    .split("\n")
    .map((line) => line.split(/\s+/));
  const global = addresses.filter((fields) => fields[3] === "00");
  return global.length > 0 && global.every((fields) => (Number.parseInt(fields[4] ?? "0", 16) & 0x40) === 0);
}

async function stopAll(child: Child, pids: readonly number[]): Promise<void> {
  await child.stop();
  for (const [signal, seconds] of [
    ["SIGTERM", 2],
    ["SIGKILL", 2],
  ] as const) {
    const living = pids.filter((pid) => isLiving(pid));
    for (const pid of living) kill(pid, signal);
    const gone = (): boolean => !living.some((pid) => isLiving(pid));
    await until("the engine to end", seconds, gone).catch(() => undefined);
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has just ended by itself.
  }
}

function pidFile(request: Request): string {
  return join(request.paths.scratch, `pasta-${request.container.pid}.pid`);
}

function contents(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Not there yet.
    return "";
  }
}

function message(child: Child): string {
  const { stdout, stderr } = child.output();
  return `${stdout} ${stderr}`.replaceAll(/\s+/g, " ").trim().slice(-300);
}
