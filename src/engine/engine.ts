/** One engine: puts kernel objects and protocols together and owns every lifetime. */
import { IP_WORDS, isIpv4, parseIp, parseMac } from "../base/address.ts";
import { Counters } from "../base/counters.ts";
import { MAIN_TABLE, type Route, RouteType } from "../base/network.ts";
import type { FamilyPlan } from "../config/network-plan.ts";
import type { Bandwidth, EngineOptions, PortOptions } from "../config/options.ts";
import { describeTransition } from "../flow/describe.ts";
import { FlowTable } from "../flow/table.ts";
import { TimerWheel } from "../flow/timers.ts";
import type { Address, AddressRules, FamilyRules } from "../forward/address-rules.ts";
import { Listeners } from "../forward/listeners.ts";
import type { PortPolicy } from "../forward/port-rule.ts";
import { Epoll } from "../kernel/epoll.ts";
import { descriptorLimit } from "../kernel/process.ts";
import { TUN_F_USO4 } from "../ffi/constants.ts";
import type { Log } from "../log/logger.ts";
import type { FamilyLink, Link, Link4, Route4 } from "../proto/link.ts";
import type { Net } from "../proto/net.ts";
import { Stack } from "../proto/stack.ts";
import { TokenBucket } from "../proto/token-bucket.ts";
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
const BROADCAST_MAC = new Uint8Array(6).fill(0xff);

/** The parts of a running engine. */
export interface Engine {
  readonly epoll: Epoll;
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
  const { flows: capacity, pendingBytes } = options.limits;
  const layout = new ArenaLayout(pendingBytes);
  const epoll = new Epoll();
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
    ports: portPolicy(options.ports),
    without: new Set(options.without),
    ...buildLimits(options.bandwidth, host.nowMs),
    log,
    plan: layout.plan,
    packet: { hopLimit: 0, dontFragment: false, segment: 0 },
    socket: new Int32Array(capacity),
  };
  if (log.debugOn) {
    flows.onTransition = (flow, from, to) => log.debug(describeTransition(flows, flow, from, to), { flow });
  }
  const stack = new Stack(net);
  const ports = new Ports({
    listeners: net.listeners,
    epoll,
    inside,
    fdLimit: socketLimit(),
    families: { ipv4: link.v4.enabled, ipv6: link.v6.enabled },
    hostScope: () => host.scope,
    handedIn: options.fds.listeners,
    drainAccepted: (slot) => stack.drainListener(slot),
    udpSocketsAt: (port) => stack.udp.socketsAt(port),
    policy: options.ports,
    without: options.without,
    log,
    pause,
  });
  return { epoll, host, net, stack, ports };
}

const buildLimits = (
  { ingress, egress }: Bandwidth = {},
  nowMs: number,
): Pick<Net, "ingress" | "egress"> => ({
  ingress: ingress && new TokenBucket(ingress, nowMs),
  egress: egress && new TokenBucket(egress, nowMs),
});

/** Without a TAP there is nothing else inside that connections could arrive at. */
const portPolicy = ({ splice, spliceOnly, hostLoopbackToContainer }: PortOptions): PortPolicy => ({
  splice,
  spliceOnly,
  hostLoopbackToContainer: hostLoopbackToContainer || spliceOnly,
});

function buildLink(options: EngineOptions, offloads: number): Link {
  const { plan } = options;
  return {
    mtu: options.interface.mtu,
    ourMac: parseMac(plan.ourMac) ?? BROADCAST_MAC,
    // Until the container has spoken, every station on the link is meant.
    guestMac: parseMac(plan.mac ?? "") ?? BROADCAST_MAC.slice(),
    v4: buildLink4(plan.ipv4, options.dhcp.ipv4),
    v6: buildFamily(plan.ipv6, options.dhcp.ipv6),
    offload: offloads !== 0,
    udpOffload: (offloads & TUN_F_USO4) !== 0,
    routerAdvertisements: options.routerAdvertisements,
    advertise: { ...options.advertise, resolvers: addresses(options.advertise.resolvers) },
  };
}

const buildLink4 = (plan: FamilyPlan, dhcp: boolean): Link4 => ({
  ...buildFamily(plan, dhcp),
  prefixLengths: plan.addresses.map(({ prefixLength }) => prefixLength),
  routes: routesToTell(plan.routes),
});

/** Routes of the main table as a program can be told them: to each destination one, with its first next hop. */
function routesToTell(routes: readonly Route[]): Route4[] {
  const told = new Map<string, Route4>();
  for (const route of routes.toSorted((a, b) => b.metric - a.metric)) {
    const { destination, destinationLength: length, table, type, nexthops } = route;
    if (table !== MAIN_TABLE || type !== RouteType.Unicast || nexthops.length === 0) continue;
    const gateway = address(nexthops[0].gateway);
    told.set(`${destination}/${length}`, {
      destination: address(destination)?.[3] ?? 0,
      length,
      // We answer for everybody: what a gateway of the other family leads to can be on the link as well.
      gateway: gateway !== undefined && isIpv4(gateway) ? gateway[3] : 0,
    });
  }
  return [...told.values()];
}

function buildFamily(plan: FamilyPlan, dhcp: boolean): FamilyLink {
  return {
    enabled: plan.enabled,
    ours: parseIp(plan.ours) ?? new Uint32Array(IP_WORDS),
    assigned: addresses(plan.addresses.map((planned) => planned.address)),
    dhcp,
  };
}

function buildRules({ rules, plan, interface: inside }: EngineOptions, link: Link): AddressRules {
  const family = (version: 4 | 6): FamilyRules => {
    const { ours, assigned } = link[`v${version}`];
    const { gateway, pinnedAddresses } = plan[`ipv${version}`];
    return {
      ours,
      gateway: address(gateway),
      assigned,
      seen: Uint32Array.from({ length: IP_WORDS }, (_, i) => assigned[0]?.[i] ?? 0),
      seenLinkLocal: (version === 6 ? address(inside.linkLocal) : undefined) ?? new Uint32Array(IP_WORDS),
      isFixed: pinnedAddresses,
      mapHostLoopback: address(rules[`mapHostLoopback${version}`]),
      mapGuest: address(rules[`mapGuest${version}`]),
      dnsMatch: address(rules[`dnsMatch${version}`]),
      outbound: address(rules[`outbound${version}`]),
      outboundInterface: rules[`outboundInterface${version}`],
    };
  };
  return {
    v4: family(4),
    v6: family(6),
    dnsServers: addresses(rules.dnsServers),
  };
}

const address = (text: string | undefined): Address | undefined =>
  text === undefined ? undefined : parseIp(text);

const addresses = (texts: readonly string[]): Address[] => texts.flatMap((text) => parseIp(text) ?? []);

const randomWords = (count: number): Uint32Array => crypto.getRandomValues(new Uint32Array(count));
