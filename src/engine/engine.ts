/** One engine: puts kernel objects and protocols together and owns every lifetime. */
import { Counters } from "../base/counters.ts";
import { type Bandwidth, type EngineOptions, PENDING_BYTES, type PortOptions } from "../config/options.ts";
import { describeTransition } from "../flow/describe.ts";
import { FlowTable } from "../flow/table.ts";
import { TimerWheel } from "../flow/timers.ts";
import { Listeners } from "../forward/listeners.ts";
import type { PortPolicy } from "../forward/port-rule.ts";
import type { Families } from "../forward/port-rules.ts";
import { Epoll } from "../kernel/epoll.ts";
import { Netlink } from "../kernel/netlink.ts";
import { descriptorLimit } from "../kernel/process.ts";
import { randomWords } from "../ffi/memory.ts";
import type { Log } from "../log/logger.ts";
import type { Link } from "../proto/link.ts";
import type { Net } from "../proto/net.ts";
import { Stack } from "../proto/stack.ts";
import { TokenBucket } from "../proto/token-bucket.ts";
import { buildLink, buildRules } from "./addresses.ts";
import { ArenaLayout } from "./arena-layout.ts";
import { Capture } from "./capture.ts";
import { KernelHost } from "./host.ts";
import type { Inside } from "./inside.ts";
import { EventKind } from "./loop.ts";
import { Ports } from "./ports/ports.ts";

/** Descriptors that no container can use up: clients of the control socket, and what an orderly end opens. */
const RESERVED_FDS = 32;
/** Sockets have descriptors below this. */
export const socketLimit = (): number => descriptorLimit() - RESERVED_FDS;

/** The parts of a running engine. */
export interface Engine {
  readonly epoll: Epoll;
  /** rtnetlink of the host, for questions. */
  readonly netlink: Netlink;
  readonly host: KernelHost;
  readonly net: Net;
  readonly stack: Stack;
  readonly ports: Ports;
}

/** What an engine is built around. */
export interface EngineParts {
  readonly log: Log;
  /** TUN_F_* bits that the TAP has. */
  readonly offloads: number;
  readonly inside: Inside;
  /** Lets packets have a turn, once they flow. */
  readonly pause: () => Promise<void>;
}

export function buildEngine(options: EngineOptions, { log, offloads, inside, pause }: EngineParts): Engine {
  const { flows: capacity, ports: portOptions, without, bandwidth } = options.asked.network;
  const layout = new ArenaLayout(PENDING_BYTES);
  const epoll = new Epoll();
  const netlink = new Netlink(options.fds.hostNetlink);
  const flows = new FlowTable(capacity, randomWords(4));
  const counters = new Counters();
  const { capture } = options.fds;
  const host = new KernelHost({
    arena: layout.arena,
    tapFd: options.fds.tap,
    table: flows,
    epoll,
    flowKind: EventKind.Flow,
    errorAt: layout.errorAt,
    scope: options.plan.ipv6.hostInterfaceIndex,
    peekOffset: true,
    fdLimit: socketLimit(),
    inside,
    insideScope: options.interface.index,
    netlink: options.fds.tap < 0 ? undefined : netlink,
    capture: capture < 0 ? undefined : new Capture(capture, counters),
  });
  host.nowMs = performance.now();
  const link = buildLink(options, offloads);
  const net: Net = {
    host,
    flows,
    timers: new TimerWheel(capacity, host.nowMs),
    counters,
    link,
    rules: buildRules(options, link),
    listeners: new Listeners((fd) => host.close(fd)),
    ports: portPolicy(portOptions),
    without: new Set(without),
    ...buildLimits(bandwidth, host.nowMs),
    log,
    plan: layout.plan,
    packet: { hopLimit: 0, dontFragment: false, segment: 0 },
    socket: new Int32Array(capacity),
  };
  logTransitions(net);
  const stack = new Stack(net);
  const parts = { epoll, netlink, host, net, stack };
  return { ...parts, ports: buildPorts(options, { log, inside, pause }, parts) };
}

function buildPorts(
  options: EngineOptions,
  parts: Omit<EngineParts, "offloads">,
  { epoll, host, net, stack }: Omit<Engine, "ports">,
): Ports {
  const { network } = options.asked;
  const enabled = enabledFamilies(net.link);
  return new Ports({
    ...parts,
    listeners: net.listeners,
    epoll,
    fdLimit: socketLimit(),
    families: network.follow ? network : { ...enabled },
    enabled,
    follow: network.follow,
    hostScope: () => host.scope,
    handedIn: options.fds.listeners,
    drainAccepted: (slot) => stack.drainListener(slot),
    udpSocketsAt: (port) => stack.udp.socketsAt(port),
    policy: network.ports,
    without: network.without,
  });
}

/** The families that are on whenever it is read. */
const enabledFamilies = (link: Link): Families => ({
  get ipv4() {
    return link.v4.enabled;
  },
  get ipv6() {
    return link.v6.enabled;
  },
});

const buildLimits = (
  { ingress, egress }: Bandwidth = {},
  nowMs: number,
): Pick<Net, "ingress" | "egress"> => ({
  ingress: ingress && new TokenBucket(ingress, nowMs),
  egress: egress && new TokenBucket(egress, nowMs),
});

/** Has changes of state logged, or no longer, as the log's level wants it. */
export function logTransitions({ flows, log }: Net): void {
  flows.onTransition = log.debugOn
    ? (flow, from, to) => log.debug(describeTransition(flows, flow, from, to), { flow })
    : undefined;
}

/** Without a TAP there is nothing else inside that connections could arrive at. */
const portPolicy = ({ splice, spliceOnly, hostLoopbackToContainer }: PortOptions): PortPolicy => ({
  splice,
  spliceOnly,
  hostLoopbackToContainer: hostLoopbackToContainer || spliceOnly,
});
