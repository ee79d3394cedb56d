/**
 * Engines on their way out: their container is gone, or they have been asked to end. Until they have ended they hold
 * the ports of a container that may just be starting again.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { AppError, errorCode } from "../base/errors.ts";
import { requestEngine, stopEngine } from "./control-client.ts";
import { isHeld, portInUse } from "./port-holder.ts";
import { isSameProcess } from "./process-info.ts";
import {
  claimStateDirectory,
  enginesAt,
  type EngineState,
  type FoundEngine,
  listEngines,
} from "./state-directory.ts";

const ATTEMPTS = 3;
/** How long ports are waited for. */
const PATIENCE_MS = 1000;

/** The same as `claimStateDirectory`, once all engines on their way out have ended. Throws also ENGINE_FAILED. */
export async function claimAfterLeaving(
  ...claim: Parameters<typeof claimStateDirectory>
): Promise<FoundEngine> {
  const [, id, , target] = claim;
  for (let attempt = 1; ; attempt++) {
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all(listEngines().filter(isLeaving).map(stopEngine));
    try {
      return claimStateDirectory(...claim);
    } catch (error) {
      if (!(error instanceof AppError && error.code === "BUSY") || attempt === ATTEMPTS) throw error;
      const others = listEngines().filter(
        ({ state }) => state.id === id || (target.netns !== undefined && state.target.netns === target.netns),
      );
      // One that starts answers nobody yet, but somebody waits for it.
      if (others.some(({ state }) => state.phase === "starting")) throw error;
      // oxlint-disable-next-line no-await-in-loop
      if ((await Promise.all(others.map(answers))).includes(true)) throw error;
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all(others.map(stopEngine));
    }
  }
}

/**
 * Calls `start` again as long as a port of the host that it needs belongs to an engine that has begun to leave only
 * after the claim, for about a second. Throws what `start` throws.
 * @param root directory of the engines
 */
export async function startOnceOthersHaveLeft<Result>(
  root: string,
  start: () => Promise<Result>,
): Promise<Result> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop
      return await start();
    } catch (error) {
      const port = portInUse(error);
      if (port === undefined || performance.now() > deadline) throw error;
      const leaving = enginesAt(root).filter(isLeaving);
      // It may have left by now, too.
      if (leaving.length === 0 && isHeld(port)) throw error;
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all(leaving.map(stopEngine));
    }
  }
}

/** One that was told to end a moment ago may not have heard it yet; it does so before it answers anybody. */
async function answers(engine: FoundEngine): Promise<boolean> {
  try {
    await requestEngine(engine, "status");
    return true;
  } catch {
    // It ends, or it has never got as far as to listen.
    return false;
  }
}

function isLeaving({ directory, state }: FoundEngine): boolean {
  // Of one in another PID namespace nothing can be told.
  if (state.phase !== "running" || !isSameProcess(state.pid, state.startTime)) return false;
  // The first thing that an engine gives up.
  return isGone(state) || !existsSync(join(directory, "control.sock"));
}

/** Tells whether what the engine was started for is no more: the process, or the namespace under its path. */
function isGone({ pid: engine, target: { pid, path, netns } }: EngineState): boolean {
  if ((pid ?? path) === undefined || netns === undefined) return false;
  // As the engine sees it, which may live in another mount namespace.
  const now = pid === undefined ? `/proc/${engine}/root${path}` : `/proc/${pid}/ns/net`;
  try {
    const { dev, ino } = statSync(now);
    // Anything but a namespace hides what is there in yet another mount namespace.
    return netns.startsWith(`${dev}:`) && `${dev}:${ino}` !== netns;
  } catch (error) {
    // ESRCH: it is just ending.
    return ["ENOENT", "ESRCH"].includes(errorCode(error));
  }
}
