/**
 * The privileged part of connecting a container: opens what the engine needs in both network namespaces,
 * configures the container's interface, starts the engine and records it. Runs where the process has
 * CAP_SYS_ADMIN and CAP_NET_ADMIN over the container's namespace, and in the host's network namespace.
 */
import { closeSync } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../base/errors.ts";
import { type Connection, connectionOf, type ConnectionOptions } from "../config/connection.ts";
import { chooseTemplate } from "../config/host-template.ts";
import { IPV6_MTU_MIN, type NetworkPlan } from "../config/network-plan.ts";
import {
  DEFAULT_PENDING_BYTES,
  type EngineOptions,
  type HandedInSocket,
  type NetworkOptions,
  type ProcessOptions,
  type WatchOptions,
} from "../config/options.ts";
import { type ConfiguredNetns, configureNetns } from "../follow/configure-netns.ts";
import { readHostNetwork } from "../follow/host-network.ts";
import { Netlink } from "../kernel/netlink.ts";
import { openTapIn, type Netns } from "../kernel/namespace.ts";
import { openRouteSocketIn } from "../kernel/route-socket.ts";
import { Cleanup } from "./cleanup.ts";
import { type EngineResources, startEngine } from "./engine-process.ts";
import { whyNotWritten } from "./file-failure.ts";
import { openCapture, openLimitedLog, openLog } from "./output-files.ts";
import { engineIdentity } from "./identity.ts";
import { startOnceOthersHaveLeft } from "./leaving-engines.ts";
import { startTime } from "./process-info.ts";
import { writeState, type EngineState, type FoundEngine } from "./state-directory.ts";
import { readResolvConf } from "./resolv-conf.ts";

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

/** The MTU that a TAP has when nobody sets one. */
const TAP_DEFAULT_MTU = 1500;

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
    const template = chooseTemplate(readHostNetwork(hostNetlink), request.network);
    const connection = connectionOf(template, readResolvConf(), request);
    const { plan } = connection;
    const notes = planNotes(plan, request.network);
    const containerNetlink = await openRouteSocketIn(netns);
    closeLater("the container's netlink socket", containerNetlink.fd);
    const tap = request.network.ports.spliceOnly
      ? undefined
      : await openTapIn(netns, plan.interfaceName, { wantOffload: request.network.offload });
    // The interface inside goes away with the last descriptor of the TAP.
    if (tap !== undefined) closeLater("the TAP", tap.fd);
    const configured = configureNetns(containerNetlink, plan, tap?.name, request.network.configure);
    // The container may be spoken to before it has said anything.
    plan.mac = configured.mac;
    plan.ipv4.enabled &&= configured.ipv4;
    plan.ipv6.enabled &&= configured.ipv6;
    checkFamilies(plan, `its kernel takes none (${configured.warnings.join("; ")})`);
    const options = engineOptions(request, connection, configured);
    const resources = {
      tap: tap?.fd ?? -1,
      hostNetlink: hostNetlink.fd,
      containerNetlink: containerNetlink.fd,
      netns: netns.fd,
      ...outputs,
      listeners: request.listeners,
    };
    const { directory, state: first } = request.engine;
    const record = (pid: number): EngineState =>
      recordEngine(directory, runningState(first, pid, plan, configured.name));
    const start = (): Promise<EngineState> => startEngine(options, resources, request.foreground, record);
    const state = await startOnceOthersHaveLeft(dirname(directory), start);
    const inForce = { ...plan, mtu: mtuInForce(plan) };
    return { state, plan: inForce, notes: [...notes, ...configured.warnings] };
  } finally {
    // The engine has its own copies of everything.
    await cleanup.run();
  }
}

const mtuInForce = ({ mtu }: NetworkPlan): number => (mtu === 0 ? TAP_DEFAULT_MTU : mtu);

/** What a person should know of a plan. Throws NO_ADDRESS when there is nothing to connect. */
function planNotes(plan: NetworkPlan, network: NetworkOptions): string[] {
  if (network.ports.spliceOnly) return [];
  checkFamilies(plan, "this kernel has no IPv6, or the MTU is too small for it");
  // A host with one family is common and no news; a host with none is.
  const isIsolated = plan.ipv4.enabled === plan.localMode.ipv4 && plan.ipv6.enabled === plan.localMode.ipv6;
  const note = "the host has no network: for the time being the container reaches the host itself only";
  const notes = isIsolated ? [note] : [];
  if (network.ipv6 && plan.mtu > 0 && plan.mtu < IPV6_MTU_MIN) {
    notes.push(
      `an MTU of ${plan.mtu} is too small for IPv6, which needs ${IPV6_MTU_MIN}: there is only IPv4`,
    );
  }
  return notes;
}

function checkFamilies({ ipv4, ipv6 }: NetworkPlan, why: string): void {
  if (ipv4.enabled || ipv6.enabled) return;
  throw new AppError(
    "NO_ADDRESS",
    `cannot give the container an address of the family asked for: ${why}; leave --ipv4-only or --ipv6-only away`,
  );
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
    ports: network.ports,
    routerAdvertisements: network.routerAdvertisements,
    dhcp: network.dhcp,
    without: network.without,
    ...(network.bandwidth !== undefined && { bandwidth: network.bandwidth }),
    watch,
    stateDirectory: engine.directory,
    ...(runAs !== undefined && { runAs }),
    logLevel: network.logLevel,
    ...(logLimit !== undefined && logsToFile(request) && { logLimit }),
    ...(captureFile !== undefined && { captureFile }),
    ...(statsSeconds !== undefined && { statsSeconds }),
    offload: network.offload,
    limits: { flows: network.flows, pendingBytes: DEFAULT_PENDING_BYTES },
  };
}

function runningState(
  first: EngineState,
  pid: number,
  plan: NetworkPlan,
  interfaceName: string,
): EngineState {
  const addresses = [...plan.ipv4.addresses, ...plan.ipv6.addresses];
  return {
    ...first,
    pid,
    startTime: startTime(pid) ?? "0",
    phase: "running",
    interface: interfaceName,
    addresses: addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
  };
}
