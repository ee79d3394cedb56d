/**
 * The engine's process. It is born with everything it needs (see EngineOptions): options as JSON on descriptor
 * 3, the TAP and the other descriptors open. It says "ready" when packets flow, and removes its directory at
 * every ordinary end.
 */
import { closeSync, readFileSync, readSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError, errorCode } from "../base/errors.ts";
import type { LogLevelRequest, PortChangeRequest, PortsResult } from "../config/control-types.ts";
import { changesContainer } from "../config/connection.ts";
import type { EngineOptions, Identity } from "../config/options.ts";
import { waitingNotes } from "../config/port-notes.ts";
import { CAP_NET_BIND_SERVICE, EPOLLIN } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { exitNow } from "../ffi/libc.ts";
import { becomeUser, CONFIGURATION_CAPABILITIES, limitCapabilities } from "../kernel/caps.ts";
import { keepFromCleaners, withFileLock } from "../kernel/file-lock.ts";
import { limitSystemCalls } from "../kernel/seccomp.ts";
import { setOffloads } from "../kernel/tap.ts";
import { type AdjustableLog, createLogger, type Log } from "../log/logger.ts";
import { type ControlHandler, ControlServer } from "./control.ts";
import { openControlSocket } from "./control-socket.ts";
import { EndWatch } from "./end-watch.ts";
import { buildEngine, logTransitions, socketLimit, type Engine } from "./engine.ts";
import { Follower } from "./follower.ts";
import { Inside } from "./inside.ts";
import { EventKind, Loop } from "./loop.ts";
import type { Ports } from "./ports/ports.ts";
import { Statistics } from "./statistics.ts";
import { statusOf } from "./status.ts";

const OPTIONS_FD = 3;

async function main(): Promise<void> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own launcher wrote it
  const options = JSON.parse(readFileSync(OPTIONS_FD, "utf8")) as EngineOptions;
  closeSync(OPTIONS_FD);
  const { logLevel: level, logLimit: limit, fds } = options;
  const log = createLogger({ level, destination: fds.log, limit });
  try {
    await run(options, log);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const error = cause instanceof AppError ? cause : new AppError("ENGINE_FAILED", message);
    log.error("the engine cannot start", { err: cause });
    writeSync(options.fds.ready, `${JSON.stringify(error)}\n`);
    process.exit(1);
  }
}

async function run(options: EngineOptions, log: AdjustableLog): Promise<void> {
  // With the privilege that there is now: for all else, whoever we become is enough.
  const watch = new EndWatch(options.watch);
  const controlSocket = openControlSocket(join(options.stateDirectory, "control.sock"));
  keepFromCleaners(options.stateDirectory);
  const inside = await Inside.enter(options.fds.netns, socketLimit(), () => {
    if (options.runAs !== undefined) become(options.runAs);
  });
  // All that is left: ports below 1024, and the container's addresses and routes where no guard changes them.
  const isConfiguring = changesContainer(options.asked) && options.fds.guard < 0;
  limitCapabilities([CAP_NET_BIND_SERVICE], isConfiguring ? CONFIGURATION_CAPABILITIES : []);
  const offloads = openLink(options, log);
  const engine = buildEngine(options, { log, offloads, inside, pause: () => loop.pause() });
  const { stack, epoll, ports } = engine;

  let ending = false;
  const end = (why: string): void => {
    if (ending) return;
    ending = true;
    log.info(`the engine ends: ${why}`);
    loop.stop();
    control.close();
    // The ports are free before anybody can believe that we are gone.
    ports.close();
    stack.shutdown();
    removeState(options);
    // All that would be left to do for Node.js is to take its own memory apart, which somebody waits for.
    exitNow(0);
  };
  const methods = new Map<string, ControlHandler>([
    ["stop", () => void setImmediate(() => end("asked to stop"))],
    ["status", () => statusOf(options, engine, offloads)],
    ...controlMethods(options, engine, log),
  ]);
  const control = new ControlServer(controlSocket, methods, () => loop.pause());
  watch.register(epoll, EventKind.Watch);
  control.register(epoll, EventKind.Control);
  const loop = new Loop(epoll, engine.host, stack, options.fds.tap, {
    watch: () => {
      if (watch.isGone()) end("the container's network namespace is gone");
    },
    timer: (index) => ports.timer(index),
    statistics: () => statistics?.print(),
    follow: (event) => follower?.event(event),
    control: () => void control.accept(),
    tapLost: (errno) => end(`the TAP cannot be read any more (errno ${errno})`),
  });
  const statistics = startStatistics(options, engine);
  const follower = options.asked.network.follow
    ? new Follower({ options, engine, offloads, inside, log })
    : undefined;
  inside.onReady = () => stack.insideReady();
  onSignals((signal) => end(`got ${signal}`));
  onFailure(options, log);
  await ports.start(options.asked.network.ports.rules);
  await follower?.start();
  limitSystemCalls();
  announce(options.fds.ready, waitingNotes(ports.show()));
  loop.start();
  log.info("the engine is ready", { offloads });
}

function controlMethods(
  options: EngineOptions,
  engine: Engine,
  log: AdjustableLog,
): [string, ControlHandler][] {
  const { ports } = engine;
  return [
    ["container", async () => (await import("./container.ts")).containerNetwork(options)],
    ["ports", () => ({ rules: ports.show() })],
    ["setPorts", (params) => changePorts(ports, params)],
    ["setLogLevel", (params) => changeLogLevel(options, engine, log, params)],
  ];
}

function onFailure(options: EngineOptions, log: Log): void {
  process.on("uncaughtException", (err) => {
    log.error("the engine fails", { err });
    removeState(options);
    process.exit(1);
  });
}

function onSignals(end: (signal: string) => void): void {
  for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT"] as const) process.on(signal, end);
  process.on("SIGHUP", () => {});
}

/** Undefined where none are wanted. */
function startStatistics(
  { fds, statsSeconds }: EngineOptions,
  { epoll, net }: Engine,
): Statistics | undefined {
  if (fds.statistics < 0 || statsSeconds === undefined) return undefined;
  const statistics = new Statistics(fds.statistics, statsSeconds, net.counters);
  check(epoll.add(statistics.timer, EPOLLIN, EventKind.Statistics, 0), "epoll_ctl", "timer");
  return statistics;
}

/** Throws USAGE. */
function become(identity: Identity): void {
  try {
    becomeUser(identity);
  } catch (cause) {
    throw new AppError(
      "USAGE",
      `cannot run the engine as uid ${identity.uid}, gid ${identity.gid}: only root may do that ` +
        `(${errorCode(cause)}), in a user namespace only for users who have a number there; leave --runas away`,
      { cause },
    );
  }
}

/** Configures the TAP, if there is one; gives its TUN_F_* bits. */
function openLink({ fds, asked }: EngineOptions, log: Log): number {
  const { offload } = asked.network;
  const offloads = offload && fds.tap >= 0 ? setOffloads(fds.tap) : 0;
  if (offload && fds.tap >= 0 && offloads === 0) {
    log.warn("the kernel refuses offloads on the TAP: checksums and segmentation are done in the engine");
  }
  return offloads;
}

async function changePorts(ports: Ports, params: unknown): Promise<PortsResult> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schema has been checked
  const { action, rules } = params as PortChangeRequest;
  await ports.change(action, rules);
  return { rules: ports.show() };
}

function changeLogLevel(options: EngineOptions, { net }: Engine, log: AdjustableLog, params: unknown): void {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the schema has been checked
  const { level } = params as LogLevelRequest;
  log.info("the log level changes", { from: options.logLevel, to: level });
  log.setLevel(level);
  logTransitions(net);
  options.logLevel = level;
}

/**
 * Tells the launcher, and waits until it has written down who we are; nobody could find us if it has died instead.
 * @param notes what a person should know, one sentence each
 */
function announce(ready: number, notes: readonly string[]): void {
  writeSync(ready, `${JSON.stringify(notes)}\n`);
  if (readSync(ready, Buffer.alloc(1)) === 0) throw new AppError("ENGINE_FAILED", "the launcher has died");
  closeSync(ready);
}

/** Removes our directory, and the one around it when we were the last. As another user we may not: see runtime/reaper.ts. */
function removeState({ stateDirectory: directory, runAs }: EngineOptions): void {
  if (runAs !== undefined) return;
  const root = dirname(directory);
  try {
    // Whoever takes its place must not lose what it writes there to us.
    withFileLock(root, () => rmSync(directory, { recursive: true, force: true }));
    rmdirSync(root);
  } catch {
    // Other engines live there.
  }
}

void main();
