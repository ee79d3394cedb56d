/**
 * One directory for each engine, in a directory of bucatini that only its owner can enter:
 *
 *   $XDG_RUNTIME_DIR/bucatini/ID/   or   /run/bucatini/ID/ (root)   or   /tmp/bucatini-UID/ID/
 *     state.json  who serves what        control.sock  control socket        engine.log  the log
 *
 * The directory is the claim on the identifier and, by what state.json says, on the network namespace: both are
 * taken under one lock. The engine removes its directory; one whose process is dead is removed by whoever sees it.
 */
import {
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { AppError, errorCode } from "../base/errors.ts";
import { validateEngineState } from "../config/generated/engine-state.ts";
import { isLocked, withFileLock } from "../kernel/file-lock.ts";
import { isSameProcess, startTime } from "./process-info.ts";

/** What an engine serves. */
export interface EngineTarget {
  kind: "run" | "pid" | "netns";
  /** The process that was named, or the one that holds the namespaces of `run`. */
  pid?: number;
  /** The path that was named. */
  path?: string;
  /** What `run` runs. */
  command?: string;
  /** Device and inode of the network namespace. Names it only while somebody holds it open. */
  netns?: string;
}

/** The content of state.json; schemas/engine-state.schema.json. */
export interface EngineState {
  version: string;
  id: string;
  pid: number;
  /** Start time of `pid`, which tells it from a later process with the same number. */
  startTime: string;
  phase: "starting" | "running";
  target: EngineTarget;
  interface?: string;
  addresses?: string[];
  createdAt: string;
}

/** Tells whether JSON from outside is a state. */
export const isEngineState = (value: unknown): value is EngineState => validateEngineState(value);

/** A state together with where it was found. */
export interface FoundEngine {
  directory: string;
  state: EngineState;
}

/** sockaddr_un holds 108 bytes with the terminating zero; "/control.sock" is part of them. */
const PATH_MAX = 107 - "/control.sock".length;

/** Directories that may hold engines of this user, the preferred one first. */
export function stateRoots(env: NodeJS.ProcessEnv = process.env): string[] {
  const uid = process.geteuid!();
  const roots: string[] = [];
  const runtime = env["XDG_RUNTIME_DIR"];
  if (runtime?.startsWith("/") === true && isOwnDirectory(runtime)) roots.push(join(runtime, "bucatini"));
  if (uid === 0) roots.push("/run/bucatini");
  roots.push(`/tmp/bucatini-${uid}`);
  return roots;
}

/** A directory, not a symbolic link, that belongs to us. */
function isOwnDirectory(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === process.geteuid!();
}

/** Ours, and closed to everybody else: nobody can have put anything into it. */
function isPrivateDirectory(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && stat.uid === process.geteuid!() && (stat.mode & 0o077) === 0;
}

/** Creates the first usable root. Throws STATE_DIR when there is none. */
function openRoot(): string {
  const problems: string[] = [];
  for (const root of stateRoots()) {
    try {
      mkdirSync(root, { mode: 0o700 });
    } catch (error) {
      if (errorCode(error) !== "EEXIST") {
        problems.push(`${root}: ${errorCode(error)}`);
        continue;
      }
    }
    if (isPrivateDirectory(root)) return root;
    problems.push(`${root}: not a directory of this user alone`);
  }
  throw new AppError(
    "STATE_DIR",
    `cannot create a directory for the state of the engine (${problems.join("; ")}); ` +
      "set XDG_RUNTIME_DIR to a directory of your own",
  );
}

/** Runs `work` with the lock on the root; makes the root again when its last engine has just removed it. */
function withRoot<Result>(work: (root: string) => Result): Result {
  for (let attempt = 0; ; attempt++) {
    const root = openRoot();
    try {
      return withFileLock(root, () => work(root));
    } catch (error) {
      if (errorCode(error) !== "ENOENT" || attempt === 10) throw error;
    }
  }
}

/**
 * Takes an identifier and a target for this process, which must hold the namespace open, and creates the
 * directory with a first state.json. Throws BUSY when a live engine has either, STATE_DIR when the directory
 * cannot be written.
 *
 * @param id the wanted identifier; when `exact` is not set, a number is added to one that is taken
 */
export function claimStateDirectory(
  version: string,
  id: string,
  exact: boolean,
  target: EngineTarget,
): FoundEngine {
  return withRoot((root) => {
    const running = enginesIn(root);
    refuseSameTarget(running, target);
    const taken = new Set(running.map((engine) => engine.state.id));
    let free = id;
    if (exact && taken.has(id)) {
      throw new AppError(
        "BUSY",
        `cannot use the name ${id}: an engine of that name is running; run "bucatini detach ${id}" or take another name`,
      );
    }
    for (let number = 2; taken.has(free); number++) free = `${id}-${number}`;
    return createDirectory(root, version, free, target);
  });
}

function refuseSameTarget(running: readonly FoundEngine[], target: EngineTarget): void {
  const same = running.find(({ state }) => target.netns !== undefined && state.target.netns === target.netns);
  if (same === undefined) return;
  const { id, pid } = same.state;
  throw new AppError(
    "BUSY",
    `cannot attach: this network namespace is already served by the engine ${id} (process ${pid}); ` +
      `run "bucatini detach ${id}" first`,
  );
}

function createDirectory(root: string, version: string, id: string, target: EngineTarget): FoundEngine {
  const directory = join(root, id);
  if (Buffer.byteLength(directory) > PATH_MAX) {
    throw new AppError(
      "STATE_DIR",
      `cannot use ${directory}: a control socket's path has at most 107 bytes; choose a shorter --name`,
    );
  }
  const state: EngineState = {
    version,
    id,
    pid: process.pid,
    startTime: startTime(process.pid)!,
    phase: "starting",
    target,
    createdAt: new Date().toISOString(),
  };
  try {
    mkdirSync(directory, { mode: 0o700 });
    writeState(directory, state);
  } catch (error) {
    if (errorCode(error) === "ENOENT") throw error;
    rmSync(directory, { recursive: true, force: true });
    throw new AppError(
      "STATE_DIR",
      `cannot write the state of the engine to ${directory}: ${errorCode(error)}`,
      {
        cause: error,
      },
    );
  }
  return { directory, state };
}

/** Replaces state.json in one step. Throws what node:fs throws. */
export function writeState(directory: string, state: EngineState): void {
  const temporary = join(directory, "state.json.new");
  writeFileSync(temporary, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  const { uid, gid } = statSync(directory);
  // A launcher inside a user namespace may be another user there.
  if (uid !== process.geteuid!()) chownSync(temporary, uid, gid);
  renameSync(temporary, join(directory, "state.json"));
}

/** All running engines of this user, oldest first. Removes what dead ones left. */
export function listEngines(): FoundEngine[] {
  const found = stateRoots().filter(isPrivateDirectory).flatMap(lockAndListEngines);
  return found.toSorted((a, b) => a.state.createdAt.localeCompare(b.state.createdAt));
}

function lockAndListEngines(root: string): FoundEngine[] {
  try {
    return withFileLock(root, () => enginesIn(root));
  } catch (error) {
    // The last engine has just removed it.
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/**
 * The engines of one root that are alive: with a process that we see, or with one in another PID namespace that holds
 * the lock on its directory. Precondition: the root is locked.
 */
function enginesIn(root: string): FoundEngine[] {
  const alive: FoundEngine[] = [];
  for (const name of readdirSync(root)) {
    const directory = join(root, name);
    if (!isPrivateDirectory(directory)) continue;
    const state = readState(directory);
    const isAlive = state !== undefined && (isSameProcess(state.pid, state.startTime) || isLocked(directory));
    if (isAlive) alive.push({ directory, state });
    else rmSync(directory, { recursive: true, force: true });
  }
  return alive;
}

/** Undefined for what is no state: a launcher or an engine that was killed left it. */
function readState(directory: string): EngineState | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(directory, "state.json"), "utf8"));
    return isEngineState(value) ? value : undefined;
  } catch {
    // Missing, cut off or not JSON.
    return undefined;
  }
}

/** Removes an engine's directory, and the root when it was the last one. */
export function removeStateDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  try {
    rmdirSync(join(directory, ".."));
  } catch (error) {
    // ENOTEMPTY: other engines are there.
    if (errorCode(error) !== "ENOTEMPTY" && errorCode(error) !== "ENOENT") throw error;
  }
}
