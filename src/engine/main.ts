/**
 * The engine's process. It is born with everything it needs (see EngineOptions): options as JSON on descriptor
 * 3, the TAP and the other descriptors open. It says "ready" when packets flow, and removes its directory at
 * every ordinary end.
 */
import { closeSync, readFileSync, readSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../base/errors.ts";
import type { EngineOptions } from "../config/options.ts";
import { TUN_F_USO4 } from "../ffi/constants.ts";
import { keepFromCleaners } from "../kernel/file-lock.ts";
import { limitSystemCalls } from "../kernel/seccomp.ts";
import { setOffloads } from "../kernel/tap.ts";
import { createLogger, type Log } from "../log/logger.ts";
import { ControlServer } from "./control.ts";
import { EndWatch } from "./end-watch.ts";
import { buildEngine } from "./engine.ts";
import { EventKind, Loop } from "./loop.ts";
import { statusOf } from "./status.ts";

const OPTIONS_FD = 3;

async function main(): Promise<void> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own launcher wrote it
  const options = JSON.parse(readFileSync(OPTIONS_FD, "utf8")) as EngineOptions;
  closeSync(OPTIONS_FD);
  const log = createLogger({ level: options.logLevel, destination: options.fds.log });
  try {
    await run(options, log);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const code = cause instanceof AppError ? cause.code : "ENGINE_FAILED";
    log.error("the engine cannot start", { err: cause });
    writeSync(options.fds.ready, `${JSON.stringify({ code, message })}\n`);
    process.exit(1);
  }
}

async function run(options: EngineOptions, log: Log): Promise<void> {
  const offloads = options.offload ? setOffloads(options.fds.tap) : 0;
  if (options.offload && offloads === 0) {
    log.warn("the kernel refuses offloads on the TAP: checksums and segmentation are done in the engine");
  }
  const engine = buildEngine(options, log, offloads, (offloads & TUN_F_USO4) !== 0);
  const { stack, epoll } = engine;

  let ending = false;
  const end = (why: string): void => {
    if (ending) return;
    ending = true;
    log.info(`the engine ends: ${why}`);
    stack.tcp.shutdown();
    loop.stop();
    control.close();
    removeState(options.stateDirectory);
    process.exit(0);
  };
  const control = new ControlServer(
    new Map<string, () => unknown>([
      ["status", () => statusOf(options, engine, offloads)],
      ["stop", () => void setImmediate(() => end("asked to stop"))],
    ]),
  );
  const watch = new EndWatch(options.watch, epoll, EventKind.Watch);
  const loop = new Loop(
    epoll,
    engine.host,
    stack,
    options.fds.tap,
    () => {
      if (watch.isGone()) end("the container's network namespace is gone");
    },
    (errno) => end(`the TAP cannot be read any more (errno ${errno})`),
  );
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const)
    process.on(signal, () => end(`got ${signal}`));
  process.on("SIGHUP", () => {});
  process.on("uncaughtException", (err) => {
    log.error("the engine fails", { err });
    removeState(options.stateDirectory);
    process.exit(1);
  });
  await control.listen(join(options.stateDirectory, "control.sock"));
  keepFromCleaners(options.stateDirectory);
  limitSystemCalls();
  announce(options.fds.ready);
  loop.start();
  log.info("the engine is ready", { offloads });
}

/** Tells the launcher, and waits until it has written down who we are; nobody could find us if it has died instead. */
function announce(ready: number): void {
  writeSync(ready, "ready\n");
  if (readSync(ready, Buffer.alloc(1)) === 0) throw new AppError("ENGINE_FAILED", "the launcher has died");
  closeSync(ready);
}

/** Removes our directory, and the one around it when we were the last. */
function removeState(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
  try {
    rmdirSync(dirname(directory));
  } catch {
    // Other engines live there.
  }
}

void main();
