/**
 * Starts an engine for an open network namespace, with the privilege that takes: in this process when it has
 * it, else in a second launcher inside the user namespace that has it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { AppError, errorCode } from "../base/errors.ts";
import { parseJson } from "../base/json.ts";
import type { Netns } from "../kernel/namespace.ts";
import { childPipe } from "./child-pipe.ts";
import { parseError } from "./engine-process.ts";
import { whyNotRead } from "./file-failure.ts";
import { handOn } from "./handed-in.ts";
import { installedFile } from "./installation.ts";
import { nameHolder } from "./port-holder.ts";
import { launch, type Launched, type LaunchRequest } from "./launch.ts";
import { hasSysAdmin } from "./process-info.ts";
import { isEngineState } from "./state-directory.ts";
import { openUserNamespace } from "./target.ts";
import { requireTool } from "./tools.ts";

/** Descriptors of the second launcher; its own stderr is for what keeps it from starting. */
export const LAUNCHER_FDS = { userNamespace: 3, netns: 4, request: 5, result: 6, stderr: 7 } as const;
const FIRST_LISTENER_FD = 8;
/** Its result when it did not get the privilege it was started for. */
export const NO_PRIVILEGE = { noPrivilege: true } as const;

/** What the second launcher is told. */
export interface InnerJob {
  request: LaunchRequest;
  /** For messages. */
  netnsPath: string;
}

/**
 * Starts the engine and returns when it is ready. Throws AppError.
 * @param userNamespace path of the user namespace to join; else it is found when needed
 */
export async function launchEngine(
  request: LaunchRequest,
  netns: Netns,
  userNamespace?: string,
): Promise<Launched> {
  try {
    return await launchWithPrivilege(request, netns, userNamespace);
  } catch (error) {
    throw await nameHolder(error);
  }
}

async function launchWithPrivilege(
  request: LaunchRequest,
  netns: Netns,
  userNamespace: string | undefined,
): Promise<Launched> {
  if (userNamespace === undefined && hasSysAdmin()) return launch(request, netns);
  const fd = userNamespace === undefined ? openUserNamespace(netns) : openUserNamespacePath(userNamespace);
  try {
    // As ourselves, which is uid 0 inside when we made the namespace; else as uid 0, whoever that is outside.
    return (
      (await launchInside(request, netns, fd, ["--preserve-credentials"])) ??
      (await launchInside(request, netns, fd, [])) ??
      noPrivilege(netns)
    );
  } finally {
    closeSync(fd);
  }
}

function noPrivilege(netns: Netns): never {
  throw new AppError(
    "TARGET_FORBIDDEN",
    `cannot enter the network namespace ${netns.path}: you are not root inside, which gives the privilege; ` +
      "make the user namespace with uid 0 mapped, or run bucatini as root",
  );
}

function openUserNamespacePath(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    const code = errorCode(cause) === "ENOENT" ? "TARGET_GONE" : "TARGET_FORBIDDEN";
    throw new AppError(code, `cannot open the user namespace ${path}: ${whyNotRead(cause)}; check --userns`, {
      cause,
    });
  }
}

/** Undefined when the second launcher has no privilege with these credentials. */
async function launchInside(
  request: LaunchRequest,
  netns: Netns,
  userNamespace: number,
  credentials: readonly string[],
): Promise<Launched | undefined> {
  const enter = [`--user=/proc/self/fd/${LAUNCHER_FDS.userNamespace}`, ...credentials, "--"];
  const { fds, ...handedOn } = handOn(request, FIRST_LISTENER_FD);
  const child = spawn(requireTool("nsenter"), [...enter, process.execPath, installedFile("launcher.cjs")], {
    cwd: "/",
    env: { UV_THREADPOOL_SIZE: "1" },
    stdio: ["ignore", "ignore", "pipe", userNamespace, netns.fd, "pipe", "pipe", 2, ...fds],
  });
  const input = childPipe(child, LAUNCHER_FDS.request);
  // A launcher that dies early is reported by the end of its result.
  input.on("error", () => {});
  const job: InnerJob = { request: { ...request, ...handedOn }, netnsPath: netns.path };
  input.end(JSON.stringify(job));
  const { result, errors } = await collect(child);
  if (result === JSON.stringify(NO_PRIVILEGE)) return undefined;
  // There is no uid 0 inside that we could become.
  if (result === "" && /set(groups|[ug]id) failed/.test(errors)) return undefined;
  const launched = parseLaunched(result);
  if (launched !== undefined) return launched;
  const why = errors.trim().split("\n").at(-1);
  throw (
    parseError(result) ??
    new AppError(
      "TARGET_FORBIDDEN",
      `cannot enter the user namespace of ${netns.path}: ${why}; ` +
        "check --userns if you gave it, else run bucatini as root",
    )
  );
}

/** Everything a child writes to its result and to stderr until it has ended. */
function collect(child: ChildProcess): Promise<{ result: string; errors: string }> {
  return new Promise((resolve, reject) => {
    const collected = { result: "", errors: "" };
    const result = childPipe(child, LAUNCHER_FDS.result);
    result.setEncoding("utf8").on("data", (chunk: string) => {
      collected.result += chunk;
    });
    child.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
      collected.errors += chunk;
    });
    child.on("error", (cause) =>
      reject(new AppError("NO_TOOL", `cannot start nsenter: ${errorCode(cause)}`)),
    );
    child.on("close", () => resolve(collected));
  });
}

/** Undefined for anything but a result. What a launcher of ours puts behind a state is taken as it is. */
export function parseLaunched(text: string): Launched | undefined {
  const value = parseJson(text);
  return isLaunched(value) ? value : undefined;
}

const isLaunched = (value: unknown): value is Launched =>
  typeof value === "object" && value !== null && "state" in value && isEngineState(value.state);
