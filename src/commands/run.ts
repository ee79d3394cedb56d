/** `bucatini run`: a command in new namespaces, connected. */
import { closeSync, existsSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../base/errors.ts";
import { VERSION } from "../config/generated/version.ts";
import { forwardingResolvers, givenResolvers, listedResolvers } from "../config/resolv-conf.ts";
import { keepDescriptorsFromPrograms } from "../kernel/close-on-exec.ts";
import { inForeground, takeTerminal } from "../kernel/terminal.ts";
import { launchEngine } from "../runtime/attach-engine.ts";
import { Cleanup } from "../runtime/cleanup.ts";
import { createContainer } from "../runtime/container.ts";
import { waitForEnd } from "../runtime/control-client.ts";
import { OwnResolvConf } from "../runtime/own-resolv-conf.ts";
import { writeResolvConf } from "../runtime/resolv-conf.ts";
import { handedInSockets } from "../runtime/handed-in.ts";
import { claimAfterLeaving } from "../runtime/leaving-engines.ts";
import { removeStateDirectory, type FoundEngine } from "../runtime/state-directory.ts";
import { openProcessTarget } from "../runtime/target.ts";
import { findCommand } from "../runtime/tools.ts";
import { checkTun } from "../runtime/check-tun.ts";
import type { RunRequest } from "./options.ts";
import { tell } from "./output.ts";
import { endOnSignals, forwardSignals } from "./signals.ts";

/** The engine sees the end of the namespaces by itself; this is how long we wait for it to have tidied up. */
const ENGINE_END_MS = 1000;

/**
 * Gives the exit status of the command, or 128 + signal. Throws AppError, and then leaves nothing behind.
 * @param ready called before the command starts
 */
export async function run(asked: RunRequest, ready = (): void => {}): Promise<number> {
  const { network, process: processOptions, name, command, hostname, namespaces } = asked;
  checkCommand(command[0], process.env["PATH"]);
  if (!network.ports.spliceOnly) checkTun();
  const isForeground = inForeground();
  keepDescriptorsFromPrograms();
  const cleanup = new Cleanup();
  const stopListening = endOnSignals(cleanup);
  try {
    const target = { kind: "run" as const, command: command.join(" ") };
    const engine = await claimAfterLeaving(VERSION, name ?? `run-${process.pid}`, name !== undefined, target);
    cleanup.add(`remove ${engine.directory}`, () => removeStateDirectory(engine));
    const resolvers = asked.ownResolvConf ? forwardingResolvers(network) : givenResolvers(network);
    const resolvConf =
      asked.ownResolvConf && resolvers.length > 0 ? join(engine.directory, "resolv.conf") : "";
    const nameservers = listedResolvers(network);
    if (resolvConf !== "") await writeResolvConf(resolvConf, nameservers);
    const container = await createContainer({ command, resolvConf, hostname, namespaces });
    cleanup.add("end the namespaces", () => container.kill());
    if (resolvConf !== "") {
      const { pid } = container;
      const { user } = namespaces;
      const own = new OwnResolvConf({ path: resolvConf, nameservers, pid, user, follow: network.follow });
      cleanup.add("leave resolv.conf alone", () => own.close());
    }
    const netns = openProcessTarget(container.pid);
    const running: FoundEngine = {
      ...engine,
      state: { ...engine.state, target: { ...target, pid: container.pid, netns: netns.id } },
    };
    const watch = { pids: [container.pid, process.pid] };
    const request = {
      engine: running,
      network,
      listeners: handedInSockets(),
      dnsForward: resolvers,
      watch,
      foreground: false,
      process: processOptions,
    };
    const { state, notes } = await launchEngine(request, netns);
    closeSync(netns.fd);
    [...container.notes, ...notes].forEach(tell);
    ready();
    stopListening();
    forwardSignals((signal) => container.signal(signal));
    container.start();
    const status = await container.ended;
    if (isForeground) takeTerminal();
    await waitForEnd({ ...engine, state }, ENGINE_END_MS);
    await cleanup.run();
    return status;
  } catch (error) {
    await cleanup.run();
    throw error;
  }
}

/** Throws NO_COMMAND or NOT_EXECUTABLE. */
function checkCommand(name: string, path: string | undefined): void {
  if (findCommand(name, path) !== undefined) return;
  if (name.includes("/") && existsSync(name)) {
    const why = 'it is no program that you may execute; see "chmod +x"';
    throw new AppError("NOT_EXECUTABLE", `cannot run ${name}: ${why}`);
  }
  throw new AppError("NO_COMMAND", `cannot run ${name}: there is no such program; check the name and PATH`);
}
