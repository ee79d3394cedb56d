/** Connects a network namespace that already exists: what `attach` and the plugins have in common. */
import { closeSync } from "node:fs";
import { basename } from "node:path";
import { isEngineId } from "../config/engine-id.ts";
import { VERSION } from "../config/generated/version.ts";
import type { NetworkOptions, WatchOptions } from "../config/options.ts";
import { keepDescriptorsFromPrograms } from "../kernel/close-on-exec.ts";
import type { Netns } from "../kernel/namespace.ts";
import { launchEngine } from "../runtime/attach-engine.ts";
import { launchOutside } from "../runtime/broker-client.ts";
import { Cleanup } from "../runtime/cleanup.ts";
import { stopEngine } from "../runtime/control-client.ts";
import type { Launched } from "../runtime/launch.ts";
import { handedInSockets } from "../runtime/handed-in.ts";
import { claimAfterLeaving } from "../runtime/leaving-engines.ts";
import { removeStateDirectory, type EngineTarget } from "../runtime/state-directory.ts";
import { netnsPath, openPathTarget, openProcessTarget } from "../runtime/target.ts";
import { checkTun } from "../runtime/check-tun.ts";
import type { AttachRequest } from "./options.ts";
import { tell } from "./output.ts";
import { endOnSignals } from "./signals.ts";

/** What is attached to, and what ends the engine. */
interface Named {
  netns: Netns;
  target: EngineTarget;
  watch: WatchOptions;
  /** Identifier unless there is a --name. */
  id: string;
}

/**
 * Starts an engine and, when it is ready, calls `use` with its state directory and what it came to. Leaves
 * nothing behind when anything fails or a signal ends us before `use` is done; an engine in the foreground is
 * ended in any case. Throws AppError or what `use` throws.
 *
 * @param dnsForward addresses inside that forward DNS
 * @param complete called once nobody else can connect the namespace: gives the options in force, and adds what it
 *   makes to the clean-up
 */
export async function connect<Result>(
  asked: AttachRequest,
  dnsForward: readonly string[],
  use: (directory: string, launched: Launched) => Result | Promise<Result>,
  complete?: (cleanup: Cleanup) => Promise<NetworkOptions>,
): Promise<Result> {
  const { process: processOptions, name, foreground, attachment, signalStatus } = asked;
  if (!asked.network.ports.spliceOnly) checkTun();
  keepDescriptorsFromPrograms();
  const cleanup = new Cleanup();
  const endStatus = signalStatus === undefined ? [] : [() => signalStatus];
  const stopListening = endOnSignals(cleanup, ...endStatus);
  try {
    const { netns, target, watch, id } =
      "pid" in asked.target ? ofProcess(asked.target.pid) : ofPath(asked.target.netns);
    cleanup.add(`close ${netns.path}`, () => closeSync(netns.fd));
    const engine = await claimAfterLeaving(VERSION, name ?? id, name !== undefined, target, attachment);
    const { directory } = engine;
    cleanup.add(`remove ${directory}`, () => removeStateDirectory(engine));
    const network = (await complete?.(cleanup)) ?? asked.network;
    const wanted = asked.staysBehind === true ? { pids: [] } : watch;
    if (foreground) wanted.pids.push(process.pid);
    if (asked.holder !== undefined) wanted.pids.push(asked.holder);
    const request = {
      engine,
      network,
      listeners: [...handedInSockets(), ...(asked.listeners ?? [])],
      dnsForward,
      watch: wanted,
      foreground,
      process: processOptions,
    };
    const launched = await (asked.outside === undefined
      ? launchEngine(request, netns, asked.userNamespace)
      : launchOutside(request, netns, asked.outside.ports));
    cleanup.add("end the engine", () => stopEngine({ directory, state: launched.state }));
    launched.notes.forEach(tell);
    const result = await use(directory, launched);
    if (foreground) await cleanup.run();
    return result;
  } catch (error) {
    await cleanup.run();
    throw error;
  } finally {
    stopListening();
  }
}

function ofProcess(pid: number): Named {
  const netns = openProcessTarget(pid);
  return { netns, target: { kind: "pid", pid, netns: netns.id }, watch: { pids: [pid] }, id: String(pid) };
}

/** /proc/PID/ns/net is the process in other words: procfs cannot be watched like a directory. */
function ofPath(text: string): Named {
  const path = netnsPath(text);
  const pid = /^\/proc\/(\d+)\/(?:task\/\d+\/)?ns\/net$/.exec(path)?.[1];
  if (pid !== undefined) return ofProcess(Number(pid));
  const netns = openPathTarget(path);
  const id = basename(path);
  const target: EngineTarget = { kind: "netns", path, netns: netns.id };
  return { netns, target, watch: { pids: [], netnsPath: path }, id: isEngineId(id) ? id : "netns" };
}
