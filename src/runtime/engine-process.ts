/** Starts the engine: a process of its own session that outlives the launcher. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { AppError, appErrorFrom, errorCode } from "../base/errors.ts";
import { parseJson } from "../base/json.ts";
import { changesContainer } from "../config/connection.ts";
import type { EngineFds, EngineOptions } from "../config/options.ts";
import { childPipe } from "./child-pipe.ts";
import {
  CONFIGURATION_CAPABILITIES,
  ENGINE_CAPABILITIES,
  forbidNewPrivileges,
  IDENTITY_CAPABILITIES,
  limitCapabilities,
  passOn,
  SIGNAL_CAPABILITIES,
} from "../kernel/caps.ts";
import { startGuard } from "./guard.ts";
import { handOn } from "./handed-in.ts";
import { installedFile } from "./installation.ts";
import { Reaper } from "./reaper.ts";

/** Numbers that the engine's descriptors have there; 3 brings its options, up to end of file. */
const FDS = {
  tap: 4,
  hostNetlink: 5,
  containerNetlink: 6,
  netns: 7,
  ready: 8,
  log: 9,
  capture: 10,
  statistics: 11,
  guard: 12,
};
const OPTIONS_FD = 3;
const FIRST_LISTENER_FD = 13;

/** Engines keep little garbage; small young generations and one helper thread keep their memory low. */
const NODE_OPTIONS = ["--max-semi-space-size=1", "--v8-pool-size=1", "--stack-trace-limit=30"];
/**
 * The columns of the flow table are large and mostly untouched. Each in a mapping of its own (mallopt(3)), they cost
 * nothing until they are used; in glibc's heap they would be cleared, and so paid for, at once.
 */
const ENVIRONMENT = {
  UV_THREADPOOL_SIZE: "1",
  // Its threads in the kernel would stay who they were when the engine becomes another user.
  UV_USE_IO_URING: "0",
  MALLOC_MMAP_THRESHOLD_: "65536",
  MALLOC_TRIM_THRESHOLD_: "65536",
};

/** An engine has this long to be ready. */
export const READY_TIMEOUT_MS = 15_000;
/** How much of the log is worth quoting when the engine fails before it is ready. */
const LOG_TAIL_BYTES = 1000;

/** Open descriptors of this process that the engine gets; -1 for one that there is none of. */
export interface EngineResources extends Omit<EngineFds, "ready" | "guard"> {
  /** Another rtnetlink of the container for a guard; -1 where the engine may have the power itself. */
  guardNetlink: number;
  /** What Node.js itself prints when it gives up. */
  errors: number;
}

/**
 * Starts an engine, waits until it says that it is ready, has it recorded and lets it run: should we die before that,
 * it ends, because nobody could find it. Gives what `record` gives. The descriptors stay open here. Throws what the
 * engine reports, ENGINE_FAILED, or what `record` throws.
 *
 * @param foreground the engine stays in our session and its errors go to our stderr
 * @param record writes down the engine of this process id; it has said what a person should know, one sentence each
 */
export async function startEngine<Recorded>(
  options: Omit<EngineOptions, "fds">,
  resources: EngineResources,
  foreground: boolean,
  record: (pid: number, notes: readonly string[]) => Recorded,
): Promise<Recorded> {
  // Everything else that takes privilege is done. The engine inherits this and cannot regain more.
  const { runAs, stateDirectory } = options;
  const guard = divideCapabilities(options, resources.guardNetlink);
  const reapers = runAs === undefined ? [] : [new Reaper()];
  const { hostNetlink, containerNetlink, netns, log, listeners } = resources;
  const own = ["ignore", "ignore", resources.errors, "pipe"] as const;
  const inside = [orNothing(resources.tap), hostNetlink, containerNetlink, netns] as const;
  const outputs = [log, orNothing(resources.capture), orNothing(resources.statistics)] as const;
  const { fds: given, ...handedOn } = handOn({ listeners, watch: options.watch }, FIRST_LISTENER_FD);
  const child = spawn(process.execPath, [...NODE_OPTIONS, installedFile("engine.cjs")], {
    argv0: "bucatini-engine",
    cwd: "/",
    env: ENVIRONMENT,
    detached: !foreground,
    stdio: [
      ...own,
      ...inside,
      "pipe",
      ...outputs,
      orNothing(guard),
      ...given,
      ...reapers.map(({ fd }) => fd),
    ],
  });
  const kill = (): void => void child.kill("SIGKILL");
  // An engine that nobody waits for any more would open its ports first, and then see that.
  process.once("exit", kill);
  try {
    const fds = { ...descriptors({ ...resources, guard }), listeners: handedOn.listeners };
    const document: EngineOptions = { ...options, watch: handedOn.watch, fds };
    const input = childPipe(child, OPTIONS_FD);
    const output = childPipe(child, FDS.ready);
    // An engine that dies early is reported by the end of `output`.
    input.on("error", () => {});
    input.end(JSON.stringify(document));
    const notes = await ready(child, output, stateDirectory);
    const recorded = record(child.pid!, notes);
    // Nothing else is started.
    limitCapabilities([], SIGNAL_CAPABILITIES);
    for (const reaper of reapers) reaper.start(stateDirectory, child.pid!);
    await new Promise<void>((resolve) => output.end("recorded\n", resolve));
    input.destroy();
    output.destroy();
    child.unref();
    return recorded;
  } catch (error) {
    kill();
    throw error;
  } finally {
    process.off("exit", kill);
    if (guard >= 0) closeSync(guard);
    for (const reaper of reapers) reaper.close();
  }
}

/**
 * Leaves this process what engine and guard take, and has the engine that is started next get its own part. Gives the
 * engine's end of a guard's socket, to be closed by the caller; -1 without a guard.
 */
function divideCapabilities(
  { runAs, asked, interface: { index } }: Pick<EngineOptions, "runAs" | "asked" | "interface">,
  netlink: number,
): number {
  const capabilities = [...ENGINE_CAPABILITIES, ...(runAs === undefined ? [] : IDENTITY_CAPABILITIES)];
  const configuration = changesContainer(asked) ? CONFIGURATION_CAPABILITIES : [];
  limitCapabilities([...capabilities, ...configuration], SIGNAL_CAPABILITIES);
  forbidNewPrivileges();
  if (netlink < 0) return -1;
  passOn(configuration);
  const guard = startGuard(netlink, index);
  passOn(capabilities);
  return guard;
}

const orNothing = (fd: number): number | "ignore" => (fd < 0 ? "ignore" : fd);

/** Descriptors as the engine sees them. */
const descriptors = ({
  tap,
  capture,
  statistics,
  guard,
}: EngineResources & Pick<EngineFds, "guard">): Omit<EngineFds, "listeners"> => ({
  ...FDS,
  tap: tap < 0 ? tap : FDS.tap,
  capture: capture < 0 ? capture : FDS.capture,
  statistics: statistics < 0 ? statistics : FDS.statistics,
  guard: guard < 0 ? guard : FDS.guard,
});

/** The notes of an engine that is ready; rejects with its error, its end, or after a time. */
function ready(child: ChildProcess, output: Readable, directory: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let text = "";
    let ended = "it closed the ready pipe";
    const timer = setTimeout(() => {
      reject(failed(`it was not ready within ${READY_TIMEOUT_MS / 1000} s`, directory));
    }, READY_TIMEOUT_MS);
    child.on("error", (cause) =>
      reject(failed(`cannot start ${process.execPath}: ${errorCode(cause)}`, directory)),
    );
    child.on("exit", (status, signal) => {
      ended = signal === null ? `it ended with status ${status}` : `it was ended by ${signal}`;
    });
    output.setEncoding("utf8");
    output.on("data", (chunk: string) => {
      text += chunk;
    });
    output.on("error", () => {});
    output.on("data", () => {
      if (!text.includes("\n")) return;
      clearTimeout(timer);
      const said = parseJson(text);
      if (isNotes(said)) resolve(said);
      else reject(reported(text, directory));
    });
    output.on("close", () => {
      clearTimeout(timer);
      // The exit status comes at about the same time; wait for it to say something better.
      setTimeout(() => reject(failed(ended, directory)), 50);
    });
  });
}

const isNotes = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((each) => typeof each === "string");

/** The error an engine reports as one line of JSON. */
function reported(text: string, directory: string): AppError {
  return parseError(text) ?? failed(`it said ${text.trim()}`, directory);
}

/** An AppError from its JSON; undefined for anything else. */
export const parseError = (text: string): AppError | undefined => appErrorFrom(parseJson(text));

function failed(why: string, directory: string): AppError {
  const tail = logTail(directory);
  return new AppError(
    "ENGINE_FAILED",
    `cannot start the engine: ${why}${tail === "" ? "" : `; its log ends: ${tail}`}`,
  );
}

function logTail(directory: string): string {
  try {
    return readFileSync(`${directory}/engine.log`, "utf8").slice(-LOG_TAIL_BYTES).trim();
  } catch {
    // The log is elsewhere, or there is none.
    return "";
  }
}
