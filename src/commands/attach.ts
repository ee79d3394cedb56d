/** `bucatini attach`: connects a network namespace that already exists. */
import { closeSync } from "node:fs";
import { basename } from "node:path";
import { isEngineId } from "../config/engine-id.ts";
import { VERSION } from "../config/generated/version.ts";
import type { WatchOptions } from "../config/options.ts";
import { keepDescriptorsFromPrograms } from "../kernel/close-on-exec.ts";
import type { Netns } from "../kernel/namespace.ts";
import { launchEngine } from "../runtime/attach-engine.ts";
import { Cleanup } from "../runtime/cleanup.ts";
import { waitForEnd } from "../runtime/control-client.ts";
import { claimStateDirectory, removeStateDirectory, type EngineTarget } from "../runtime/state-directory.ts";
import { netnsPath, openPathTarget, openProcessTarget } from "../runtime/target.ts";
import { checkTun } from "./check-tun.ts";
import type { AttachRequest } from "./options.ts";
import { print, tell } from "./output.ts";
import { endOnSignals } from "./signals.ts";

/** What is attached to, and what ends the engine. */
interface Named {
  netns: Netns;
  target: EngineTarget;
  watch: WatchOptions;
  /** Identifier unless there is a --name. */
  id: string;
}

export async function attach(asked: AttachRequest): Promise<number> {
  const { network, name, logFile, foreground } = asked;
  checkTun();
  keepDescriptorsFromPrograms();
  const cleanup = new Cleanup();
  const stopListening = endOnSignals(cleanup);
  try {
    const { netns, target, watch, id } =
      "pid" in asked.target ? ofProcess(asked.target.pid) : ofPath(asked.target.netns);
    cleanup.add(`close ${netns.path}`, () => closeSync(netns.fd));
    const engine = claimStateDirectory(VERSION, name ?? id, name !== undefined, target);
    cleanup.add(`remove ${engine.directory}`, () => removeStateDirectory(engine.directory));
    if (foreground) watch.pids.push(process.pid);
    const dnsForward = network.dnsForward === "none" ? [] : (network.dnsForward ?? []);
    const request = {
      engine,
      network,
      dnsForward,
      watch,
      foreground,
      ...(logFile !== undefined && { logFile }),
    };
    const { state, notes } = await launchEngine(request, netns, asked.userNamespace);
    notes.forEach(tell);
    if (!foreground) {
      print(state.id);
      return 0;
    }
    await waitForEnd({ ...engine, state }, Number.POSITIVE_INFINITY);
    await cleanup.run();
    return 0;
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
