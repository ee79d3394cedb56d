/** Programs of a test in namespaces of their own; those end with our end of their standard input. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { join } from "node:path";

const PROGRAMS = join(__dirname, "programs");

/** The command line for a TypeScript program in programs/. */
export const program = (name: string, ...args: string[]): string[] => [
  process.execPath,
  "--import",
  "tsx",
  join(PROGRAMS, name),
  ...args,
];

/** A running program and the first line it printed. */
export interface Child {
  readonly process: ChildProcess;
  readonly pid: number;
  readonly line: string;
  /** Closes its standard input and waits until it has ended. */
  end(): Promise<void>;
}

/** Starts a program and waits for its first line; throws with what it printed when there is none. */
export async function startChild(argv: string[], env: NodeJS.ProcessEnv = {}): Promise<Child> {
  const child = spawn(argv[0], argv.slice(1), { stdio: "pipe", env: { ...process.env, ...env } });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  child.stdin.on("error", () => {});
  const closed = once(child, "close");
  const lines = createInterface(child.stdout);
  const first = once(lines, "line");
  const line: unknown = await Promise.race([
    first.then(([text]: unknown[]) => text),
    closed.then(() => undefined),
  ]);
  if (typeof line !== "string") throw new Error(`${argv.join(" ")} printed nothing; ${errors}`);
  return {
    process: child,
    pid: child.pid!,
    line,
    end: async () => {
      child.stdin.end();
      await closed;
    },
  };
}

/** Holds a new user and network namespace. */
export const startHolder = (): Promise<Child> =>
  startChild(["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo ready; exec cat"]);

/** Runs a scenario of a program about ports (see ports-world.ts) in new namespaces; what it printed. */
export async function playPorts(file: "ports" | "ports-change" | "ports-follow", scenario: string) {
  const up = `ip link set lo up; exec "$@"`;
  const enter = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", up, "sh"];
  const argv = [...enter, ...program(`${file}.ts`, scenario)];
  const child = await startChild(argv, { UV_THREADPOOL_SIZE: "1" });
  await child.end();
  return JSON.parse(child.line);
}
