/**
 * New namespaces with one command in them. They are made by unshare(1), because a user namespace can only be
 * made by a process with a single thread, and Node has several. unshare stays as the parent of the namespaces'
 * first process; when we die, it dies, and everything in the namespaces with it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import { AppError, errorCode } from "../base/errors.ts";
import { childPipe } from "./child-pipe.ts";
import { installedFile } from "./installation.ts";
import { findProgram, requireTool } from "./tools.ts";

/** Which of the namespaces that not everybody wants are made. */
export interface NewNamespaces {
  /** Without one, this takes root. */
  user: boolean;
  /** Without one, what the command leaves running stays when it ends. */
  pid: boolean;
}

export interface ContainerOptions {
  /** Program and arguments. */
  command: readonly string[];
  /** Replaces /etc/resolv.conf inside; empty leaves the host's. */
  resolvConf: string;
  hostname: string;
  namespaces: NewNamespaces;
}

export interface Container {
  /** The process that holds the namespaces; they are gone when it is. */
  readonly pid: number;
  /** What could not be set up and is done without. */
  readonly notes: readonly string[];
  /** Lets the command start. */
  start(): void;
  /** Sends a signal to the command, wherever it is. */
  signal(name: NodeJS.Signals): void;
  /** Ends everything inside at once. */
  kill(): void;
  /** Exit status of the command, or 128 + signal. */
  readonly ended: Promise<number>;
}

/** Makes the namespaces; the command waits in them for `start`. Throws NO_USER_NAMESPACES or NO_TOOL. */
export async function createContainer(options: ContainerOptions): Promise<Container> {
  const { command, resolvConf, hostname, namespaces } = options;
  const flags = ["--net", "--mount", "--uts", "--ipc", "--fork", "--kill-child"];
  if (namespaces.user) flags.push("--user", "--map-root-user");
  if (namespaces.pid) flags.push("--pid");
  const init = [
    "/bin/sh",
    installedFile("container-init.sh"),
    resolvConf,
    hostname,
    namespaces.pid ? "proc" : "",
  ];
  const [program, ...args] = [
    ...dieWithParent(),
    requireTool("unshare"),
    ...flags,
    "--",
    ...init,
    ...command,
  ];
  const child = spawn(program, args, { stdio: [0, 1, "pipe", "pipe", "pipe", 2] });
  const ended = new Promise<number>((resolve) => {
    child.on("exit", (status, signal) => resolve(status ?? 128 + constants.signals[signal!]));
  });
  const { commandPid, notes } = await setUp(child, namespaces);
  const go = childPipe(child, 3);
  // The command has ended before it started; its status tells.
  go.on("error", () => {});
  return {
    pid: child.pid!,
    notes,
    start: () => go.end("go\n"),
    signal: (name) => {
      try {
        process.kill(commandPid, name);
      } catch (error) {
        // It may have ended a moment ago.
        if (errorCode(error) !== "ESRCH") throw error;
      }
    },
    kill: () => child.kill("SIGKILL"),
    ended,
  };
}

/** setpriv(1) makes the kernel end a program with its parent; without it, only an orderly end is seen. */
function dieWithParent(): string[] {
  const setpriv = findProgram("setpriv", process.env["PATH"]);
  return setpriv === undefined ? [] : [setpriv, "--pdeathsig=KILL", "--"];
}

interface SetUp {
  commandPid: number;
  notes: string[];
}

/** Waits for the first process inside to say that everything is there. */
function setUp(child: ChildProcess, namespaces: NewNamespaces): Promise<SetUp> {
  return new Promise((resolve, reject) => {
    let errors = "";
    let lines = "";
    const status = childPipe(child, 4);
    child.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
      errors += chunk;
    });
    status.setEncoding("utf8").on("data", (chunk: string) => {
      lines += chunk;
      const pid = /^pid (\d+)$/m.exec(lines);
      if (pid === null) return;
      const notes = Array.from(lines.matchAll(/^note (.*)$/gm), (match) => match[1]);
      resolve({ commandPid: Number(pid[1]), notes });
    });
    child.on("error", (cause) =>
      reject(new AppError("NO_TOOL", `cannot start unshare: ${errorCode(cause)}`)),
    );
    // "close" comes after everything written has been read. After `resolve` it changes nothing.
    child.on("close", () => reject(whyNoNamespaces(errors, namespaces)));
  });
}

/** Why there are no namespaces, from what unshare printed, and what to do about it. */
export function whyNoNamespaces(errors: string, namespaces: NewNamespaces): AppError {
  const why = errors.trim().split("\n").at(-1) ?? "";
  if (!namespaces.user) {
    const remedy = "do it as root, or let a user namespace be made too";
    return new AppError("NO_USER_NAMESPACES", `cannot create a network namespace alone (${why}); ${remedy}`);
  }
  const remedy = why.includes("No space left")
    ? "raise the limit: sysctl user.max_user_namespaces=10000"
    : "allow them to this user: sysctl kernel.unprivileged_userns_clone=1 on Debian, " +
      "sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu, or a seccomp profile that permits unshare";
  return new AppError("NO_USER_NAMESPACES", `cannot create user and network namespaces (${why}); ${remedy}`);
}
