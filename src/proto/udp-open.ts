/** New UDP flows: for datagrams of the container, and for those of clients that arrive at a listener. */
import { isIpv4, isLoopback, isUnicast, isUnspecified } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { FlowType, Pif } from "../flow/state.ts";
import {
  endpointPort,
  INITIATING,
  oursPort,
  packPorts,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
} from "../flow/table.ts";
import { familyRules, isDnsForward, outboundTarget } from "../forward/address-rules.ts";
import { inboundTarget } from "../forward/inbound.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import type { Resolvers } from "../forward/resolvers.ts";
import { RateLimit } from "../log/rate-limit.ts";
import type { Fd } from "./host.ts";
import { Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import type { UdpErrors } from "./udp-errors.ts";
import type { UdpFlows } from "./udp-flows.ts";

/** How long a resolver may take before the next one is asked. */
const RESOLVER_PATIENCE_MS = 2_000;
/** The first port that everybody may use. */
const UNPRIVILEGED_PORT = 1024;
/** Datagrams thrown away at most before a socket is used. */
const STRAY_DATAGRAMS = 64;
/** Nothing was opened. */
const NONE = -1;

export class UdpOpener {
  readonly #net: Net;
  readonly #flows: UdpFlows;
  readonly #errors: UdpErrors;
  readonly #resolvers: Resolvers;
  readonly #warnings = new RateLimit();

  constructor(net: Net, flows: UdpFlows, errors: UdpErrors, resolvers: Resolvers) {
    this.#net = net;
    this.#flows = flows;
    this.#errors = errors;
    this.#resolvers = resolvers;
  }

  /**
   * Starts a flow for the container's datagram whose TAP side is in `flows.key`; negative when it cannot be, and the
   * container is told why. `[payloadAt, payloadAt + length)` is its payload.
   */
  outbound(payloadAt: number, length: number): FlowIndex {
    const { flows, host, rules } = this.#net;
    const columns = this.#flows;
    const key = flows.key;
    const flow = this.#begin();
    if (flow < 0) return NONE;
    if (isDnsForward(familyRules(rules, !isIpv4(key, SideWord.Ours)), key)) {
      columns.resolver[flow] = 1 + this.#resolvers.current(rules.dnsServers.length, host.nowMs);
    }
    outboundTarget(rules, key, true, Math.max(0, columns.resolver[flow] - 1));
    const result = this.#connect(flow, Pif.Host);
    if (result < 0) {
      this.#errors.refused(flow, -result, payloadAt, length);
      return this.#fail(flow, result);
    }
    this.#finish(flow);
    const impatient = columns.resolver[flow] !== 0 && rules.dnsServers.length > 1;
    if (impatient) this.#net.timers.arm(flow, host.nowMs + RESOLVER_PATIENCE_MS);
    return flow;
  }

  /** Starts a flow for a client's datagram at a listener, whose side is in `flows.key`; negative when it cannot be. */
  inbound(slot: ListenerSlot): FlowIndex {
    const { flows, link, listeners, ports, rules } = this.#net;
    const rule = listeners.rule(slot);
    if (rule === undefined) return this.#refuse(Count.dropForward);
    const family = isIpv4(flows.key, SideWord.Endpoint) ? link.v4 : link.v6;
    if (!family.enabled) return this.#refuse(Count.dropFamilyOff);
    const flow = this.#begin();
    if (flow < 0) return NONE;
    const pif = inboundTarget(rules, ports, rule, flows.key);
    if (pif === Pif.None) {
      flows.cancel(flow);
      return this.#refuse(Count.dropForward);
    }
    if (pif === Pif.Tap) flows.target(flow);
    else {
      const result = this.#connect(flow, pif);
      if (result < 0) return this.#fail(flow, result);
    }
    this.#flows.listener[flow] = slot;
    listeners.use(slot);
    this.#finish(flow);
    return flow;
  }

  /** NEW -> INI: a row for the initiating side in `flows.key`, or NONE. */
  #begin(): FlowIndex {
    const { flows } = this.#net;
    const key = flows.key;
    const ports = key[SideWord.Ports];
    if (ports >>> 16 === 0 || (ports & 0xffff) === 0) return this.#refuse(Count.dropPort);
    if (!isUnicast(key, SideWord.Endpoint) || isUnspecified(key, SideWord.Ours)) {
      return this.#refuse(Count.dropIpAddress);
    }
    const flow = flows.allocate();
    if (flow < 0) {
      this.#warn("flow table is full, new UDP conversations are refused");
      return this.#refuse(Count.dropFlowTableFull);
    }
    this.#flows.reset(flow);
    flows.initiate(flow);
    return flow;
  }

  /** INI -> TGT: stores the target side in `flows.key` and connects a socket to it. 0 or a negative errno. */
  #connect(flow: FlowIndex, pif: Pif): number {
    const { flows, host, rules, socket } = this.#net;
    const { key, sides } = flows;
    // Ports of the host's services (DHCP, NTP) stay free for them, even where we had the privilege to take them.
    if (oursPort(key, 0) < UNPRIVILEGED_PORT) key[SideWord.Ports] = packPorts(0, endpointPort(key, 0));
    flows.target(flow);
    const words = wordsOf((flow << 1) | TARGET);
    const v6 = !isIpv4(sides, words + SideWord.Endpoint);
    const fd = host.openUdp(v6, pif);
    if (fd < 0) return fd;
    const device = familyRules(rules, v6).outboundInterface;
    const isOutside = pif === Pif.Host && !isLoopback(sides, words + SideWord.Endpoint);
    let result = device !== undefined && isOutside ? host.bindToDevice(fd, device) : 0;
    const isBound = oursPort(sides, words) !== 0 || !isUnspecified(sides, words + SideWord.Ours);
    if (result >= 0 && isBound) result = this.#bind(fd, flow, words);
    if (result >= 0) result = host.connect(fd, flow);
    // To a broadcast address, of whatever prefix the host has.
    if (result === -Errno.EACCES && host.setBroadcast(fd) >= 0) result = host.connect(fd, flow);
    if (result >= 0) result = host.readLocal(fd, flow);
    if (result >= 0) result = host.watch(fd, (flow << 1) | TARGET);
    if (result < 0) {
      host.close(fd);
      return result;
    }
    if (isBound) this.#discardStrays(fd);
    socket[flow] = fd;
    return 0;
  }

  /** Binds to our address and port, or to any port if that is not to be had. */
  #bind(fd: Fd, flow: FlowIndex, words: number): number {
    const { flows, host } = this.#net;
    const { sides } = flows;
    const result = host.bind(fd, flow);
    const isTaken = result === -Errno.EADDRINUSE || result === -Errno.EACCES;
    if (!isTaken || oursPort(sides, words) === 0) return result;
    sides[words + SideWord.Ports] = packPorts(0, endpointPort(sides, words));
    return host.bind(fd, flow);
  }

  /** What came between bind and connect may be from anybody; nobody has been asked anything yet. */
  #discardStrays(fd: Fd): void {
    const { host, plan } = this.#net;
    for (let i = 0; i < STRAY_DATAGRAMS && host.receive(fd, plan.sendAt, 1) >= 0; i++);
  }

  /** TGT -> ACTIVE. */
  #finish(flow: FlowIndex): void {
    const { counters, flows, socket, timers } = this.#net;
    flows.setType(flow, FlowType.Udp);
    flows.hash(flow, INITIATING);
    // Datagrams of a target without a socket of its own come through the TAP.
    if (socket[flow] < 0) flows.hash(flow, TARGET);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    timers.arm(flow, this.#flows.deadline(flow));
  }

  /** Gives up a flow for which no socket was to be had. */
  #fail(flow: FlowIndex, errno: number): typeof NONE {
    this.#net.flows.cancel(flow);
    if (errno === -Errno.EAGAIN) return this.#refuse(Count.dropSocketLimit);
    if (errno !== -Errno.EMFILE && errno !== -Errno.ENFILE) return this.#refuse(Count.dropConnectFailed);
    this.#warn("no more sockets may be opened, new UDP conversations are refused");
    return this.#refuse(Count.dropSocketLimit);
  }

  #refuse(counter: number): typeof NONE {
    this.#net.counters.add(counter);
    return NONE;
  }

  #warn(message: string): void {
    const { host, log } = this.#net;
    if (!this.#warnings.allow(host.nowMs)) return;
    const { suppressed } = this.#warnings;
    log.warn(message, suppressed === 0 ? undefined : { suppressed });
  }
}
