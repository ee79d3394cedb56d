/**
 * Runs the programs of a test: every one with a deadline, in a process group of its own that is killed as a whole.
 * A failure names the command, how it ended and what it printed.
 */
import { spawn, type ChildProcess } from "node:child_process";

/** How a program ended. `code` is null when a signal or the deadline ended it. */
export interface Ended {
  readonly command: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  /** Something it left behind still had its output open two seconds later. */
  readonly heldOpen: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface RunOptions {
  /** Seconds until the process group is killed; 30 unless given. */
  readonly seconds?: number;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** What a program printed so far, and how to end it. */
export interface Running {
  readonly command: string;
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  output(): string;
  /** Kills the process group and waits for its end. */
  kill(signal?: NodeJS.Signals): Promise<Ended>;
}

const KEPT_CHARS = 4 * 1024 * 1024;
const SHOWN_CHARS = 3000;
const HELD_OPEN_MS = 2000;

/** Starts `argv`; `title` is what failures call it. Standard input stays open unless `input` is given. */
export function start(argv: readonly string[], title: string, options: RunOptions = {}): Running {
  const began = Date.now();
  const child = spawn(argv[0] ?? "", argv.slice(1), {
    detached: true,
    env: options.env,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8");
    child[name].on("data", (chunk: string) => {
      if (text[name].length < KEPT_CHARS) text[name] += chunk;
    });
  }
  // A program that ends before it has read its input is not an error of the test.
  child.stdin.on("error", () => undefined);
  if (options.input !== undefined) child.stdin.end(options.input);

  let timedOut = false;
  let heldOpen = false;
  const killGroup = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, signal);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
    }
  };
  const deadline =
    options.seconds === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          killGroup("SIGKILL");
        }, options.seconds * 1000);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    let holding: NodeJS.Timeout | undefined;
    child.on("exit", () => {
      holding = setTimeout(() => {
        heldOpen = true;
        child.stdout.destroy();
        child.stderr.destroy();
      }, HELD_OPEN_MS);
    });
    child.on("close", (code, signal) => {
      clearTimeout(deadline);
      clearTimeout(holding);
      resolve({ command: title, code, signal, timedOut, heldOpen, ...text, ms: Date.now() - began });
    });
  });
  return {
    command: title,
    child,
    ended,
    output: () => text.stdout + text.stderr,
    kill: async (signal = "SIGKILL") => {
      killGroup(signal);
      return ended;
    },
  };
}

/** Runs `argv` to its end, whatever that is. */
export async function attempt(
  argv: readonly string[],
  title: string,
  options: RunOptions = {},
): Promise<Ended> {
  return start(argv, title, { seconds: 30, input: "", ...options }).ended;
}

/** Runs `argv` and returns its standard output; throws a readable error unless it ended whole and with 0. */
export async function run(argv: readonly string[], title: string, options: RunOptions = {}): Promise<string> {
  const ended = await attempt(argv, title, options);
  if (ended.code !== 0 || ended.heldOpen) throw new Error(describeEnd(ended));
  return ended.stdout;
}

/** What ran, how it ended, and the last part of what it printed. */
export function describeEnd(ended: Ended): string {
  const how = ended.timedOut
    ? `was killed at its deadline after ${ended.ms} ms`
    : `ended with ${ended.code ?? ended.signal} after ${ended.ms} ms`;
  return [
    `${ended.command}\n  ${how}${ended.heldOpen ? "; something it left behind keeps its output open" : ""}`,
    `--- stdout\n${ended.stdout.slice(-SHOWN_CHARS)}`,
    `--- stderr\n${ended.stderr.slice(-SHOWN_CHARS)}`,
  ].join("\n");
}
