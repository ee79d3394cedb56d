// Child processes with a time limit each, and what the kernel tells about a process. Everything started here lives in
// the PID namespace of the bench and ends with it.
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** A child that runs beside us; `stop` ends it and resolves when it is gone. */
export interface Child {
  readonly pid: number;
  /** Exit status, -1 when a signal ended it, undefined while it runs. */
  readonly status: () => number | undefined;
  /** Output so far. */
  readonly output: () => Output;
  /** Resolves with the status when it has ended. */
  readonly exited: Promise<number>;
  readonly stop: () => Promise<void>;
}

/**
 * Starts `argv`; file descriptor 3 of the child is a pipe whose bytes count as standard output. Without `input` its
 * standard input is empty.
 */
export function start(
  argv: readonly string[],
  { env, input }: { readonly env?: NodeJS.ProcessEnv | undefined; readonly input?: string | undefined } = {},
): Child {
  const [file = "", ...rest] = argv;
  const stdin = input === undefined ? "ignore" : "pipe";
  const child = spawn(file, rest, { env, stdio: [stdin, "pipe", "pipe", "pipe"] });
  // A program may end without reading it.
  child.stdin?.on("error", () => undefined).end(input);
  let stdout = "";
  let stderr = "";
  let status: number | undefined;
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stdio[3]?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = new Promise<number>((resolve) => {
    const end = (code: number): void => {
      status = code;
      resolve(code);
    };
    child.once("error", (error) => {
      stderr += error.message;
      end(-1);
    });
    // "exit", not "close": a daemon that was left behind may hold the pipes open.
    child.once("exit", (code) => end(code ?? -1));
  });
  return {
    pid: child.pid ?? -1,
    status: () => status,
    output: () => ({ stdout, stderr }),
    exited,
    stop: () => stop(child, () => status === undefined, exited),
  };
}

async function stop(child: ChildProcess, running: () => boolean, exited: Promise<number>): Promise<void> {
  if (running()) {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 1000);
    await exited;
    clearTimeout(timer);
  }
}

/**
 * Runs `argv` to its end.
 *
 * @throws Error with the last lines of its output when it fails or takes longer than `seconds`
 */
export async function run(argv: readonly string[], seconds = 10): Promise<Output> {
  const child = start(argv);
  const late = { expired: false };
  const timer = setTimeout(() => {
    late.expired = true;
    void child.stop();
  }, seconds * 1000);
  const code = await child.exited;
  clearTimeout(timer);
  // Output may arrive a turn after the exit.
  await sleep(5);
  const output = child.output();
  if (late.expired) throw new Error(`${describe(argv)} took longer than ${seconds} s${tail(output)}`);
  if (code !== 0) throw new Error(`${describe(argv)} ended with status ${code}${tail(output)}`);
  return output;
}

/** Waits until `condition` holds, looking every millisecond. */
export async function until(what: string, seconds: number, condition: () => boolean): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${seconds} s for ${what}`);
    await sleep(1);
  }
}

/** All processes of our PID namespace that are not zombies. */
export function livingProcesses(): Set<number> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return new Set(pids.map(Number).filter((pid) => isLiving(pid)));
}

export function isLiving(pid: number): boolean {
  const state = statFields(pid)?.[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** User plus system time of a process with its dead children, in seconds; 0 when it is gone. The tick is 10 ms. */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  return fields === undefined ? 0 : fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100;
}

export interface Memory {
  /** Anonymous memory, shared pages divided by the processes that share them. */
  readonly anonymous: number;
  /** Pages that no other process maps, those of program files included. */
  readonly private: number;
  readonly resident: number;
}

/** Memory of a process in MB (10^6 bytes), from smaps_rollup. */
export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const megabytes = (name: string): number =>
    (Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024) / 1e6;
  return {
    anonymous: megabytes("Pss_Anon"),
    private: megabytes("Private_Clean") + megabytes("Private_Dirty"),
    resident: megabytes("Rss"),
  };
}

/** Fields of /proc/PID/stat after the name, which may hold spaces; the first is the state. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // The process ended between the listing and the look.
    return undefined;
  }
}

function describe(argv: readonly string[]): string {
  // Without nsenter and its options.
  return argv.slice(argv.indexOf("--") + 1).join(" ");
}

function tail(output: Output): string {
  const lines = `${output.stdout}\n${output.stderr}`.split("\n").filter((line) => line.trim() !== "");
  return lines.length === 0 ? "" : `: ${lines.slice(-3).join(" / ")}`;
}
