/**
 * The privileged part of connecting a container: opens what the engine needs in both network namespaces,
 * configures the container's interface, starts the engine and records it. Runs where the process has
 * CAP_SYS_ADMIN and CAP_NET_ADMIN over the container's namespace, and in the host's network namespace.
 */
import { closeSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../base/errors.ts";
import {
  changesContainer,
  type Connection,
  connectionOf,
  type ConnectionOptions,
} from "../config/connection.ts";
import { chooseTemplate } from "../config/host-template.ts";
import { mtuInForce, type NetworkPlan } from "../config/network-plan.ts";
import {
  type EngineOptions,
  type HandedInSocket,
  type ProcessOptions,
  type WatchOptions,
} from "../config/options.ts";
import { checkFamilies, planNotes } from "../config/plan-notes.ts";
import { withPrivateAddresses } from "../config/private-addresses.ts";
import { type ConfiguredNetns, configureNetns } from "../follow/configure-netns.ts";
import { readHostNetwork } from "../follow/host-network.ts";
import { readResolvConf } from "../follow/resolv-conf.ts";
import { Netlink } from "../kernel/netlink.ts";
import { hasPowerOverOwnNetwork, openTapIn, type Netns } from "../kernel/namespace.ts";
import { openRouteSocketIn } from "../kernel/route-socket.ts";
import { ALL_TABLES, dumpRoutes } from "../kernel/rtnetlink.ts";
import { setCarrier } from "../kernel/tap.ts";
import { Cleanup } from "./cleanup.ts";
import { type EngineResources, startEngine } from "./engine-process.ts";
import { whyNotWritten } from "./file-failure.ts";
import { openCapture, openLimitedLog, openLog } from "./output-files.ts";
import { engineIdentity } from "./identity.ts";
import { startOnceOthersHaveLeft } from "./leaving-engines.ts";
import { startTime } from "./process-info.ts";
import { writeState, type EngineState, type FoundEngine } from "./state-directory.ts";

/** What to connect and how; plain JSON. */
export interface LaunchRequest extends ConnectionOptions {
  /** The claimed state directory and its first state. */
  engine: FoundEngine;
  watch: WatchOptions;
  process: ProcessOptions;
  /** Sockets for the engine that are bound already. */
  listeners: HandedInSocket[];
  /** The engine stays with its caller and logs to stderr unless `logFile` is given. */
  foreground: boolean;
  /** Something about the start that belongs into the log. */
  remark?: string;
}

export interface Launched {
  state: EngineState;
  /** What the container got: with the MAC address and the MTU in force, without families its kernel has not. */
  plan: NetworkPlan;
  /** What a person should know: what was left out and why. */
  notes: string[];
}

/**
 * Connects the namespace; `netns` stays open. Leaves nothing behind when it throws, which is AppError or SysError.
 * @param stderr where an engine in the foreground logs to
 */
export async function launch(request: LaunchRequest, netns: Netns, stderr = 2): Promise<Launched> {
  const cleanup = new Cleanup();
  const closeLater = (what: string, fd: number): number => {
    cleanup.add(`close ${what}`, () => closeSync(fd));
    return fd;
  };
  try {
    const outputs = openOutputs(request, stderr, closeLater);
    const hostNetlink = Netlink.open();
    closeLater("the host's netlink socket", hostNetlink.fd);
    const host = readHostNetwork(hostNetlink);
    const network =
      request.network.addressing === "private"
        ? withPrivateAddresses(request.network, { ...host, routes: dumpRoutes(hostNetlink, ALL_TABLES) })
        : request.network;
    const asked = { network, dnsForward: request.dnsForward };
    const connection = connectionOf(chooseTemplate(host, network), readResolvConf(), asked);
    const { plan } = connection;
    const notes = planNotes(plan, network, host);
    const containerNetlink = await openRouteSocketIn(netns);
    closeLater("the container's netlink socket", containerNetlink.fd);
    const tap = network.ports.spliceOnly
      ? undefined
      : await openTapIn(netns, plan.interfaceName, { wantOffload: network.offload });
    // The interface inside goes away with the last descriptor of the TAP.
    if (tap !== undefined) closeLater("the TAP", tap.fd);
    const configured = configureNetns(containerNetlink, plan, tap?.name, network.configure);
    // Not before: without a carrier the kernel makes no addresses of IPv6.
    if (tap !== undefined && !plan.carrier) setCarrier(tap.fd, false);
    // The container may be spoken to before it has said anything.
    plan.mac = configured.mac;
    plan.ipv6.enabled &&= configured.ipv6;
    checkFamilies(plan, `its kernel takes none (${configured.warnings.join("; ")})`);
    const options = engineOptions({ ...request, ...asked }, connection, configured);
    // An engine must not have power that counts on the host as well.
    const isGuarded = changesContainer(asked) && hasPowerOverOwnNetwork();
    const resources = {
      tap: tap?.fd ?? -1,
      hostNetlink: hostNetlink.fd,
      containerNetlink: containerNetlink.fd,
      guardNetlink: isGuarded
        ? closeLater("the guard's netlink socket", (await openRouteSocketIn(netns)).fd)
        : -1,
      netns: netns.fd,
      ...outputs,
      listeners: request.listeners,
    };
    const { directory, state: first } = request.engine;
    let said: readonly string[] = [];
    const record = (pid: number, remarks: readonly string[]): EngineState => {
      said = remarks;
      return recordEngine(directory, runningState(first, pid));
    };
    const start = (): Promise<EngineState> => startEngine(options, resources, request.foreground, record);
    const state = await startOnceOthersHaveLeft(dirname(directory), start);
    const inForce = { ...plan, mtu: mtuInForce(plan) };
    return { state, plan: inForce, notes: [...notes, ...configured.warnings, ...said] };
  } finally {
    // The engine has its own copies of everything.
    await cleanup.run();
  }
}

/** Gives back the state. Throws STATE_DIR. */
function recordEngine(directory: string, state: EngineState): EngineState {
  try {
    writeState(directory, state);
    return state;
  } catch (cause) {
    throw new AppError(
      "STATE_DIR",
      `cannot write the state of the engine to ${directory}: ${whyNotWritten(cause)}`,
      {
        cause,
      },
    );
  }
}

const logsToFile = ({
  process: options,
  foreground,
}: Pick<LaunchRequest, "process" | "foreground">): boolean => !foreground || options.logFile !== undefined;

/** Opens what the engine writes to. Throws LOG_FILE. */
function openOutputs(
  { process: options, foreground, engine, remark }: LaunchRequest,
  stderr: number,
  closeLater: (what: string, fd: number) => number,
): Pick<EngineResources, "log" | "errors" | "capture" | "statistics"> {
  const { logFile, logLimit, captureFile, statsSeconds } = options;
  let log = stderr;
  let errors = stderr;
  if (logsToFile({ process: options, foreground })) {
    const { id, target } = engine.state;
    const path = logFile ?? join(engine.directory, "engine.log");
    errors = closeLater("the log", openLog(path, { id, target }, remark));
    log = logLimit === undefined ? errors : closeLater("the log", openLimitedLog(path, errors));
  }
  return {
    log,
    errors,
    capture: captureFile === undefined ? -1 : closeLater("the capture", openCapture(captureFile)),
    statistics: foreground && statsSeconds !== undefined ? stderr : -1,
  };
}

function engineOptions(
  request: LaunchRequest,
  connection: Connection,
  { name, interfaceIndex: index, linkLocal }: ConfiguredNetns,
): Omit<EngineOptions, "fds"> {
  const { network, dnsForward, engine, watch, process: options } = request;
  const { logLimit, captureFile, statsSeconds } = options;
  const runAs = engineIdentity(options.runAs);
  return {
    id: engine.state.id,
    asked: { network, dnsForward },
    ...connection,
    interface: {
      name,
      index,
      mtu: mtuInForce(connection.plan),
      ...(linkLocal !== undefined && { linkLocal }),
    },
    watch,
    stateDirectory: engine.directory,
    ...(runAs !== undefined && { runAs }),
    logLevel: network.logLevel,
    ...(logLimit !== undefined && logsToFile(request) && { logLimit }),
    ...(captureFile !== undefined && { captureFile }),
    ...(statsSeconds !== undefined && { statsSeconds }),
  };
}

const runningState = (first: EngineState, pid: number): EngineState => ({
  ...first,
  pid,
  startTime: startTime(pid) ?? "0",
  phase: "running",
});
