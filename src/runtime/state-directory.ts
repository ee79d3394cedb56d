/**
 * One directory for each engine, in a directory of bucatini that only its owner can enter:
 *
 *   $XDG_RUNTIME_DIR/bucatini/ID/, which is /run/user/UID/bucatini/ID/ where it is not set
 *   or   /run/bucatini/ID/ (root)   or   /tmp/bucatini-UID/ID/
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
import { basename, dirname, join } from "node:path";
import { AppError, errorCode } from "../base/errors.ts";
import { isEngineId } from "../config/engine-id.ts";
import { validateEngineState } from "../config/generated/engine-state.ts";
import { isLocked, withFileLock } from "../kernel/file-lock.ts";
import { isInInitialUserNamespace, parentUid } from "../kernel/user-namespace.ts";
import { whyNotWritten } from "./file-failure.ts";
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

/** The attachment that an engine is for, in the terms of CNI. */
export interface EngineAttachment {
  network: string;
  containerId: string;
  /** Name of the interface inside. */
  ifname: string;
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
  attachment?: EngineAttachment;
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

/**
 * Directories that may hold engines of this user, the preferred one first. Runtimes start hooks and plugins now with
 * XDG_RUNTIME_DIR and now without, and in user namespaces where an ordinary user is called 0: it must always be the
 * same place.
 */
export function stateRoots(env: NodeJS.ProcessEnv = process.env): string[] {
  const uid = process.geteuid!();
  const roots = runtimeDirectories(env).map((directory) => join(directory, "bucatini"));
  if (uid === 0) roots.push("/run/bucatini");
  roots.push(`/tmp/bucatini-${userOutside()}`);
  return [...new Set(roots)];
}

/** What we are called in the user namespace above, where we are anybody there. */
function userOutside(): number {
  const uid = process.geteuid!();
  return parentUid(uid) ?? uid;
}

/** Directories for sockets and the like of this user that there are: XDG_RUNTIME_DIR, and where it usually is. */
export function runtimeDirectories(env: NodeJS.ProcessEnv = process.env): string[] {
  const uid = process.geteuid!();
  const runtime = env["XDG_RUNTIME_DIR"];
  const candidates = runtime?.startsWith("/") === true ? [runtime] : [];
  // Root of the machine has no such directory but while somebody is logged in as root.
  if (!(uid === 0 && isInInitialUserNamespace())) {
    candidates.push(...new Set([userOutside(), uid].map((user) => `/run/user/${user}`)));
  }
  return candidates.filter((path) => isOwnDirectory(path));
}

/** A directory, not a symbolic link, that belongs to us, with none of these bits in its mode. */
function isOwnDirectory(path: string, without = 0): boolean {
  try {
    const stat = lstatSync(path);
    return stat.isDirectory() && stat.uid === process.geteuid!() && (stat.mode & without) === 0;
  } catch {
    // There is none, or we may not get there.
    return false;
  }
}

/** Ours, and closed to everybody else: nobody can have put anything into it. */
const isPrivateDirectory = (path: string): boolean => isOwnDirectory(path, 0o077);

/** Tells whether a path is the directory of an engine of this user, and of nobody else's. */
export const isStateDirectory = (path: string): boolean =>
  stateRoots().includes(dirname(path)) && isEngineId(basename(path)) && isPrivateDirectory(path);

/** Creates the first usable root. Throws STATE_DIR when there is none. */
function openRoot(): string {
  const problems: string[] = [];
  for (const root of stateRoots()) {
    try {
      mkdirSync(root, { mode: 0o700 });
    } catch (error) {
      if (errorCode(error) !== "EEXIST") {
        problems.push(`${root}: ${whyNotWritten(error)}`);
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

/** Makes sure that an engine's directory could be made, and leaves nothing; gives where. Throws STATE_DIR. */
export function checkStateRoot(): string {
  const root = openRoot();
  removeIfEmpty(root);
  return root;
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
 * directory with a first state.json. Throws BUSY when a live engine has either (its details name one that serves the
 * target: `servedBy`), STATE_DIR when the directory cannot be written.
 *
 * @param id the wanted identifier; when `exact` is not set, a number is added to one that is taken
 */
export function claimStateDirectory(
  version: string,
  id: string,
  exact: boolean,
  target: EngineTarget,
  attachment?: EngineAttachment,
): FoundEngine {
  return withRoot((root) => {
    const running = enginesIn(root);
    refuseSameTarget(running, target, attachment);
    const taken = new Set(running.map((engine) => engine.state.id));
    let free = id;
    if (exact && taken.has(id)) {
      throw new AppError(
        "BUSY",
        `cannot use the name ${id}: an engine of that name is running; run "bucatini detach ${id}" or take another name`,
      );
    }
    for (let number = 2; taken.has(free); number++) free = `${id}-${number}`;
    return createDirectory(root, version, free, target, attachment);
  });
}

/** A container may be attached to several networks, each by an interface of its own. */
function refuseSameTarget(
  running: readonly FoundEngine[],
  target: EngineTarget,
  attachment: EngineAttachment | undefined,
): void {
  const same = running.find(({ state }) => {
    if (target.netns === undefined || state.target.netns !== target.netns) return false;
    const other = state.attachment;
    return attachment === undefined || other === undefined || attachment.ifname === other.ifname;
  });
  if (same === undefined) return;
  const { id, pid } = same.state;
  throw new AppError(
    "BUSY",
    `cannot attach: this network namespace is already served by the engine ${id} (process ${pid}); ` +
      `run "bucatini detach ${id}" first`,
    { details: { servedBy: id } },
  );
}

function createDirectory(
  root: string,
  version: string,
  id: string,
  target: EngineTarget,
  attachment: EngineAttachment | undefined,
): FoundEngine {
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
    ...(attachment !== undefined && { attachment }),
    createdAt: new Date().toISOString(),
  };
  try {
    mkdirSync(directory, { mode: 0o700 });
    writeState(directory, state);
  } catch (error) {
    if (errorCode(error) === "ENOENT") throw error;
    rmSync(directory, { recursive: true, force: true });
    removeIfEmpty(root);
    throw new AppError(
      "STATE_DIR",
      `cannot write the state of the engine to ${directory}: ${whyNotWritten(error)}`,
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
  const found = stateRoots().filter(isPrivateDirectory).flatMap(enginesAt);
  return found.toSorted((a, b) => a.state.createdAt.localeCompare(b.state.createdAt));
}

/** Those of one root. */
export function enginesAt(root: string): FoundEngine[] {
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

/** Tells whether the directory belongs to another engine by now, which has got the identifier after this one's end. */
export function isTakenOver({ directory, state }: FoundEngine): boolean {
  const { createdAt = state.createdAt } = readState(directory) ?? {};
  return createdAt !== state.createdAt;
}

/** Removes an engine's directory, unless it is another one's by now, and the root when it was the last one. */
export function removeStateDirectory(engine: FoundEngine): void {
  const root = dirname(engine.directory);
  try {
    withFileLock(root, () => {
      if (!isTakenOver(engine)) rmSync(engine.directory, { recursive: true, force: true });
      removeIfEmpty(root);
    });
  } catch (error) {
    // The last engine has just removed it.
    if (errorCode(error) !== "ENOENT") throw error;
  }
}

function removeIfEmpty(root: string): void {
  try {
    rmdirSync(root);
  } catch {
    // Other engines are there, or the place is not ours to tidy up.
  }
}
