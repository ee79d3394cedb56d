/** The other end of an engine's control socket. */
import { createConnection } from "node:net";
import { join } from "node:path";
import { AppError, appErrorFrom, errorCode } from "../base/errors.ts";
import { parseJson } from "../base/json.ts";
import { isLocked } from "../kernel/file-lock.ts";
import { isSameProcess } from "./process-info.ts";
import { readLine } from "./read-line.ts";
import { type FoundEngine, isTakenOver, removeStateDirectory } from "./state-directory.ts";

/** An engine answers from its loop at once, and a change of many ports within seconds; one that does not is stuck. */
const ANSWER_TIMEOUT_MS = 5000;
const CHANGE_TIMEOUT_MS = 60_000;
/** Longest answer in characters, several times that of as many rules of ports as there may be. */
const ANSWER_MAX = 16 * 1024 * 1024;
/** An engine has this long to end by itself, after "stop" and again after SIGTERM. */
const STOP_TIMEOUT_MS = 2000;
const POLL_MS = 5;

/**
 * Asks the engine one thing. Throws the error of the engine when it has one of ours, NOT_RUNNING when nobody listens,
 * ENGINE_FAILED for any other error answer or none.
 * @param params JSON
 */
export async function requestEngine(engine: FoundEngine, method: string, params?: unknown): Promise<unknown> {
  const timeoutMs = params === undefined ? ANSWER_TIMEOUT_MS : CHANGE_TIMEOUT_MS;
  const line = await exchange(engine, method, `${JSON.stringify({ method, params })}\n`, timeoutMs);
  const answer = parseJson(line);
  if (typeof answer !== "object" || answer === null) throw badAnswer(engine, method, "no object");
  if ("error" in answer) {
    throw appErrorFrom(answer.error) ?? badAnswer(engine, method, JSON.stringify(answer.error));
  }
  return "result" in answer ? answer.result : undefined;
}

const badAnswer = (engine: FoundEngine, method: string, why: string): AppError =>
  new AppError(
    "ENGINE_FAILED",
    `cannot get an answer to "${method}" from the engine ${engine.state.id}: ${why}`,
  );

/** Sends one line and gives the first line that comes back. */
async function exchange(
  engine: FoundEngine,
  method: string,
  request: string,
  timeoutMs: number,
): Promise<string> {
  const socket = createConnection(join(engine.directory, "control.sock"));
  // Whoever reads hears of it.
  socket.on("error", () => {});
  socket.write(request);
  let line: string | undefined;
  try {
    line = await readLine(socket, ANSWER_MAX, timeoutMs);
  } catch (cause) {
    if (cause instanceof RangeError) throw badAnswer(engine, method, cause.message);
    const why = `cannot reach the engine ${engine.state.id} (process ${engine.state.pid}): ${errorCode(cause)}`;
    throw new AppError("NOT_RUNNING", why, { cause });
  } finally {
    socket.destroy();
  }
  if (line === undefined) throw badAnswer(engine, method, "it closed the connection");
  return line;
}

/** Ends an engine and returns when its process and its directory are gone. Throws ENGINE_FAILED. */
export async function stopEngine(engine: FoundEngine): Promise<void> {
  const { pid, startTime } = engine.state;
  // In another PID namespace the number means somebody else.
  const kill = (signal: NodeJS.Signals): unknown =>
    isSameProcess(pid, startTime) && process.kill(pid, signal);
  const stages: (() => unknown)[] = [
    () => (isTakenOver(engine) ? undefined : requestEngine(engine, "stop")),
    () => kill("SIGTERM"),
    () => kill("SIGKILL"),
  ];
  for (const stage of stages) {
    // oxlint-disable-next-line no-await-in-loop
    if (await endsAfter(engine, stage)) {
      removeStateDirectory(engine);
      return;
    }
  }
  throw new AppError(
    "ENGINE_FAILED",
    `cannot end the engine ${engine.state.id}: process ${pid} does not go away`,
  );
}

async function endsAfter(engine: FoundEngine, stage: () => unknown): Promise<boolean> {
  try {
    await stage();
  } catch (error) {
    // It may have ended in between, or be stuck: the process table decides, then the next stage.
    if (error instanceof AppError) return !isRunning(engine);
    if (errorCode(error) !== "ESRCH") throw error;
  }
  return waitForEnd(engine, STOP_TIMEOUT_MS);
}

/** A running engine holds the lock on its directory, even one in another PID namespace. */
const isRunning = (engine: FoundEngine): boolean =>
  isSameProcess(engine.state.pid, engine.state.startTime) ||
  (isLocked(engine.directory) && !isTakenOver(engine));

/** Waits until the engine's process is gone; false when that takes longer. */
export async function waitForEnd(engine: FoundEngine, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(engine)) {
    if (performance.now() > deadline) return false;
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}
