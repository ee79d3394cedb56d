/** New UDP flows: for datagrams of the container, and for those of clients that arrive at a listener. */
import { isIpv4, isLoopback, isUnicast, isUnspecified } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { FlowType, Pif } from "../flow/state.ts";
import {
  copySide,
  endpointPort,
  INITIATING,
  NO_FLOW,
  oursPort,
  packPorts,
  sidePif,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
} from "../flow/table.ts";
import { DNS_PORT, familyRules, isDnsForward, outboundTarget } from "../forward/address-rules.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { listensAt } from "../forward/port-rule.ts";
import { NO_SERVER, serverBit, type Resolvers } from "../forward/resolvers.ts";
import { RateLimit } from "../log/rate-limit.ts";
import { Admission } from "./admission.ts";
import type { Fd } from "./host.ts";
import { Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import type { UdpErrors } from "./udp-errors.ts";
import type { UdpFlows } from "./udp-flows.ts";

/** The first port that everybody may use. */
const UNPRIVILEGED_PORT = 1024;
/** Datagrams thrown away at most before a socket is used. */
const STRAY_DATAGRAMS = 64;

/** Instead of a flow: try again later. */
export const NOT_YET = -2;

export class UdpOpener {
  readonly #net: Net;
  readonly #flows: UdpFlows;
  readonly #errors: UdpErrors;
  readonly #resolvers: Resolvers;
  readonly #admission: Admission;
  readonly #warnings = new RateLimit();

  constructor(net: Net, flows: UdpFlows, errors: UdpErrors, resolvers: Resolvers) {
    this.#net = net;
    this.#flows = flows;
    this.#errors = errors;
    this.#resolvers = resolvers;
    this.#admission = new Admission(net);
  }

  /**
   * Starts a flow for the container's datagram whose TAP side is in `flows.key`; negative when it cannot be, and the
   * container is told why. `[payloadAt, payloadAt + length)` is its payload.
   */
  outbound(payloadAt: number, length: number): FlowIndex {
    const { flows, host, rules } = this.#net;
    const { key } = flows;
    const port = endpointPort(key, 0);
    const isForResolver = isDnsForward(familyRules(rules, !isIpv4(key, SideWord.Ours)), key);
    let asked = 0;
    for (;;) {
      const flow = this.#begin();
      if (flow === NO_FLOW) return NO_FLOW;
      this.#flows.isDns[flow] = isForResolver && oursPort(key, 0) === DNS_PORT ? 1 : 0;
      const server = isForResolver ? this.#resolvers.next(asked, host.nowMs) : NO_SERVER;
      outboundTarget(rules, key, true, server);
      const result = this.#connect(flow);
      if (result >= 0) {
        this.#shareListener(flow, port);
        this.#finish(flow);
        return flow;
      }
      if (server !== NO_SERVER) {
        this.#resolvers.failed(server, host.nowMs);
        asked |= serverBit(server);
      }
      if (server === NO_SERVER || this.#resolvers.next(asked, host.nowMs) === NO_SERVER) {
        this.#errors.refused(flow, -result, payloadAt, length);
        return this.#fail(flow, result);
      }
      copySide(key, 0, flows.sides, wordsOf(flow << 1));
      flows.cancel(flow);
    }
  }

  /**
   * Starts a flow of its own for a question of the container that one more resolver is asked; the answer goes to the
   * TAP side in `flows.key`, but no packet from there finds this flow. Negative when it cannot be.
   */
  askedAgain(server: number): FlowIndex {
    const { flows, rules } = this.#net;
    const flow = this.#begin();
    if (flow === NO_FLOW) return NO_FLOW;
    this.#flows.isDns[flow] = 1;
    outboundTarget(rules, flows.key, false, server);
    const result = this.#connect(flow);
    if (result < 0) return this.#fail(flow, result);
    this.#activate(flow);
    return flow;
  }

  /**
   * Starts a flow for a client's datagram at a listener, whose side is in `flows.key`; NO_FLOW when it cannot be.
   * NOT_YET, with the key as it was, when it has to wait for a socket in the container's network namespace.
   */
  inbound(slot: ListenerSlot): FlowIndex {
    const { flows } = this.#net;
    const flow = this.#admission.admit(slot);
    if (flow === NO_FLOW) return NO_FLOW;
    this.#flows.reset(flow);
    if (sidePif(flows.key, 0) === Pif.Tap) flows.target(flow);
    else {
      const result = this.#connect(flow);
      if (result === -Errno.EAGAIN) {
        copySide(flows.key, 0, flows.sides, wordsOf(flow << 1));
        flows.cancel(flow);
        return NOT_YET;
      }
      if (result < 0) return this.#fail(flow, result);
    }
    this.#flows.use(flow, slot);
    this.#finish(flow);
    return flow;
  }

  /** NEW -> INI: a row for the TAP side in `flows.key`, or NO_FLOW. */
  #begin(): FlowIndex {
    const { flows } = this.#net;
    const { key } = flows;
    if (oursPort(key, 0) === 0 || endpointPort(key, 0) === 0) return this.#refuse(Count.dropPort);
    if (!isUnicast(key, SideWord.Endpoint) || isUnspecified(key, SideWord.Ours)) {
      return this.#refuse(Count.dropIpAddress);
    }
    const flow = flows.allocate();
    if (flow === NO_FLOW) {
      this.#warn("flow table is full, new UDP conversations are refused");
      return this.#refuse(Count.dropFlowTableFull);
    }
    this.#flows.reset(flow);
    flows.initiate(flow);
    return flow;
  }

  /** INI -> TGT: stores the target side in `flows.key` and connects a socket to it. 0 or a negative errno. */
  #connect(flow: FlowIndex): number {
    const { flows, host, rules, socket } = this.#net;
    const { key, sides } = flows;
    // Ports of the host's services (DHCP, NTP) stay free for them, even where we had the privilege to take them.
    if (oursPort(key, 0) < UNPRIVILEGED_PORT) key[SideWord.Ports] = packPorts(0, endpointPort(key, 0));
    flows.target(flow);
    const words = wordsOf((flow << 1) | TARGET);
    const pif = sidePif(sides, words) === Pif.Splice ? Pif.Splice : Pif.Host;
    const v6 = !isIpv4(sides, words + SideWord.Endpoint);
    const fd = host.openUdp(v6, pif);
    if (fd < 0) return fd;
    const device = familyRules(rules, v6).outboundInterface;
    const isOutside = pif === Pif.Host && !isLoopback(sides, words + SideWord.Endpoint);
    let result = device !== undefined && isOutside ? host.bindToDevice(fd, device) : 0;
    const isBound = oursPort(sides, words) !== 0 || !isUnspecified(sides, words + SideWord.Ours);
    if (result >= 0 && isBound) result = this.#bind(fd, flow, words);
    if (result >= 0) {
      result = host.connect(fd, flow);
      // To a broadcast address, of whatever prefix the host has.
      if (result === -Errno.EACCES && host.setBroadcast(fd) >= 0) result = host.connect(fd, flow);
    }
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

  /**
   * Where the container speaks from a port at which its own clients arrive, they shall hear it from there: the flow
   * goes through the listener instead of its socket, which could not have that port.
   */
  #shareListener(flow: FlowIndex, port: number): void {
    const { flows, host, listeners, rules, socket } = this.#net;
    const { key, sides } = flows;
    const words = wordsOf((flow << 1) | TARGET);
    const slot = listeners.udpAt(port);
    const rule = listeners.rule(slot);
    if (rule === undefined || rule.first !== rule.targetFirst || oursPort(sides, words) === port) return;
    const family = familyRules(rules, !isIpv4(sides, words + SideWord.Ours));
    if (rule.device !== undefined || family.outboundInterface !== undefined) return;
    if (!listensAt(rule, sides, words + SideWord.Ours)) return;
    copySide(key, 0, sides, words);
    key[SideWord.Ports] = packPorts(port, endpointPort(sides, words));
    // That is a client already, which the container knows under another address.
    if (flows.lookup() !== NO_FLOW) return;
    host.close(socket[flow]);
    socket[flow] = -1;
    sides[words + SideWord.Ports] = key[SideWord.Ports];
    this.#flows.use(flow, slot);
  }

  /** What came between bind and connect may be from anybody; nobody has been asked anything yet. */
  #discardStrays(fd: Fd): void {
    const { host, plan } = this.#net;
    for (let i = 0; i < STRAY_DATAGRAMS && host.receive(fd, plan.sendAt, 1) >= 0; i++);
  }

  /** TGT -> ACTIVE, and datagrams find the flow. */
  #finish(flow: FlowIndex): void {
    const { flows, socket } = this.#net;
    flows.hash(flow, INITIATING);
    // Datagrams of a target without a socket of its own come through the TAP or a listener.
    if (socket[flow] < 0) flows.hash(flow, TARGET);
    this.#activate(flow);
  }

  #activate(flow: FlowIndex): void {
    const { counters, flows, timers } = this.#net;
    flows.setType(flow, FlowType.Udp);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    timers.arm(flow, this.#flows.deadline(flow));
  }

  /** Gives up a flow for which no socket was to be had. */
  #fail(flow: FlowIndex, result: number): typeof NO_FLOW {
    this.#net.flows.cancel(flow);
    if (result !== -Errno.EMFILE && result !== -Errno.ENFILE) return this.#refuse(Count.dropConnectFailed);
    this.#warn("no more sockets may be opened, new UDP conversations are refused");
    return this.#refuse(Count.dropSocketLimit);
  }

  #refuse(counter: number): typeof NO_FLOW {
    this.#net.counters.add(counter);
    return NO_FLOW;
  }

  #warn(message: string): void {
    const { host, log } = this.#net;
    this.#warnings.warn(log, host.nowMs, message);
  }
}
