/**
 * Echo requests, through the unprivileged ping sockets of Linux (icmp(7)). The kernel chooses the identifier on
 * the host side; the container's own, which is both ports of its side of the flow, goes back into every answer.
 */
import { isIpv4, isUnicast, isUnspecified, isLoopback } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { FlowQueue } from "../flow/queue.ts";
import { FlowState, FlowType } from "../flow/state.ts";
import {
  INITIATING,
  oursPort,
  packPorts,
  SideWord,
  TARGET,
  type FlowIndex,
  type SideIndex,
} from "../flow/table.ts";
import { familyRules, outboundTarget } from "../forward/address-rules.ts";
import { RateLimit } from "../log/rate-limit.ts";
import { ICMP4_LENGTH, Icmp4Type, icmp4Id, icmp4Sequence, icmp4Type, writeIcmp4Echo } from "../wire/icmp4.ts";
import { ICMP6_LENGTH, Icmp6Type, icmp6Sequence, icmp6Type, writeIcmp6Echo } from "../wire/icmp6.ts";
import { IPV4_LENGTH } from "../wire/ipv4.ts";
import type { Fd } from "./host.ts";
import { relayPingError, sendPingError } from "./icmp-errors.ts";
import type { Upper } from "./input.ts";
import { EpollEvent, Errno, ErrorOrigin } from "./linux.ts";
import type { Net } from "./net.ts";
import { OUT_PAYLOAD } from "./net.ts";
import type { Output } from "./output.ts";
import { tapWords } from "./sides.ts";
import type { FlowHandler } from "./stack.ts";

/** Milliseconds after the last request that a flow ends. */
const IDLE_MS = 60_000;
/** Answers, and errors, taken for one event; more than a socket's buffer holds. */
const TURN_CALLS = 1024;
/** An echo of IPv4 at most, the smaller of both families. */
const MESSAGE_BYTES = OUT_PAYLOAD - IPV4_LENGTH;
/** Error events without an error after which a flow ends, before it eats all our time. */
const EMPTY_ERRORS = 8;

export class Ping implements Upper, FlowHandler {
  readonly #net: Net;
  readonly #output: Output;
  /** Milliseconds of the last request. */
  readonly #activeAt: Float64Array;
  /** Hop limit set on the socket, or 0. */
  readonly #hopLimit: Uint8Array;
  readonly #emptyErrors: Uint8Array;
  /** Flows whose answers wait until more may go to the container. */
  readonly #heldBack: FlowQueue;
  #forbiddenSaid = false;
  readonly #warnings = new RateLimit();

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#output = output;
    this.#activeAt = new Float64Array(net.flows.capacity);
    this.#hopLimit = new Uint8Array(net.flows.capacity);
    this.#emptyErrors = new Uint8Array(net.flows.capacity);
    this.#heldBack = new FlowQueue(net.ingress === undefined ? 0 : net.flows.capacity);
  }

  /** Takes an echo request of either family; its header is in bounds. */
  input(at: number, end: number): void {
    const { counters, flows, host, packet, socket } = this.#net;
    if (end - at > MESSAGE_BYTES) return counters.add(Count.dropIcmpHeader);
    // The identifier is at the same place in both families. 0 is one like any other.
    const id = icmp4Id(host.arena.view, at);
    flows.key[SideWord.Ports] = packPorts(id, id);
    const side = flows.lookup();
    const flow = side >= 0 ? side >> 1 : this.#open(at, end);
    if (flow < 0) return;
    this.#activeAt[flow] = host.nowMs;
    if (packet.hopLimit !== 0 && packet.hopLimit !== this.#hopLimit[flow]) {
      this.#hopLimit[flow] = packet.hopLimit;
      host.setHopLimit(socket[flow], flows.type[flow] === FlowType.Ping6, packet.hopLimit);
    }
    this.#send(flow, at, end - at);
  }

  socketEvent(side: SideIndex, events: number): void {
    const flow = side >> 1;
    if ((events & EpollEvent.Error) !== 0 && !this.#drainErrors(flow, 0, 0)) {
      if (++this.#emptyErrors[flow] >= EMPTY_ERRORS) return this.#close(flow);
    }
    if ((events & ~EpollEvent.Error) !== 0) this.#receive(flow);
  }

  timer(flow: FlowIndex): void {
    const { host, timers } = this.#net;
    const deadline = this.#activeAt[flow] + IDLE_MS;
    if (host.nowMs >= deadline) this.#close(flow);
    else timers.arm(flow, deadline);
  }

  #send(flow: FlowIndex, at: number, length: number): void {
    const { counters, host, socket } = this.#net;
    host.part(0, at, length);
    let result = host.send(socket[flow], 1);
    if (result >= 0) return;
    if (result !== -Errno.EAGAIN) {
      // It may be the error of an earlier request; that must not cost this one.
      const drained = this.#drainErrors(flow, at, length);
      host.part(0, at, length);
      if (!drained || result !== -Errno.EMSGSIZE) result = host.send(socket[flow], 1);
      if (result >= 0) return;
      if (result !== -Errno.EAGAIN && !this.#drainErrors(flow, at, length) && !drained) {
        sendPingError(this.#net, this.#output, flow, -result, 0, at, length);
      }
    }
    counters.add(Count.dropIcmpSend);
  }

  /** Gives those a turn that have waited. */
  service(): void {
    const { flows } = this.#net;
    for (let left = this.#heldBack.length; left > 0; left--) {
      const flow = this.#heldBack.take();
      // The row may have become that of another flow since.
      const type = flows.type[flow];
      if (type !== FlowType.Ping4 && type !== FlowType.Ping6) continue;
      if (flows.state[flow] === FlowState.Active && flows.closed[flow] === 0) this.#receive(flow);
    }
  }

  /** Takes the answers that have come. */
  #receive(flow: FlowIndex): void {
    const { host, ingress, socket } = this.#net;
    const at = this.#output.payloadAt;
    for (let calls = 0; calls < TURN_CALLS; calls++) {
      if (ingress?.isOpen === false) return this.#heldBack.add(flow);
      const length = host.receive(socket[flow], at, MESSAGE_BYTES);
      if (length === -Errno.EAGAIN) return;
      if (length < 0) this.#drainErrors(flow, 0, 0);
      else this.#answer(flow, length);
    }
  }

  /** Hands the message at `payloadAt` to the container, from the address it pinged. */
  #answer(flow: FlowIndex, length: number): void {
    const { counters, flows, host } = this.#net;
    const { view } = host.arena;
    const at = this.#output.payloadAt;
    const words = tapWords(flows, flow);
    const id = oursPort(flows.sides, words);
    if (flows.type[flow] === FlowType.Ping6) {
      if (length < ICMP6_LENGTH || icmp6Type(view, at) !== Icmp6Type.EchoReply) {
        return counters.add(Count.dropIcmpType);
      }
      writeIcmp6Echo(view, at, Icmp6Type.EchoReply, id, icmp6Sequence(view, at));
    } else {
      if (length < ICMP4_LENGTH || icmp4Type(view, at) !== Icmp4Type.EchoReply) {
        return counters.add(Count.dropIcmpType);
      }
      writeIcmp4Echo(view, at, Icmp4Type.EchoReply, id, icmp4Sequence(view, at));
    }
    // The output computes the checksum over a field that is zero.
    view.setUint16(at + 2, 0);
    this.#output.icmp(words, length);
  }
  /** Relays what is in the error queue of the flow's socket. Tells whether there was anything. */
  #drainErrors(flow: FlowIndex, messageAt: number, messageLength: number): boolean {
    const { host, socket } = this.#net;
    let found = false;
    for (let i = 0; i < TURN_CALLS && host.readError(socket[flow]) > 0; i++) {
      found = true;
      const { errno, origin, info } = host.error;
      if (origin !== ErrorOrigin.Local) relayPingError(this.#net, this.#output, flow);
      else if (messageLength > 0) {
        sendPingError(this.#net, this.#output, flow, errno, info, messageAt, messageLength);
      }
    }
    if (host.takeError(socket[flow]) > 0) found = true;
    if (found) this.#emptyErrors[flow] = 0;
    return found;
  }

  /** Starts a flow for the request whose TAP side is in `flows.key`; negative when it cannot be. */
  #open(at: number, end: number): FlowIndex {
    const { counters, flows, host, rules, socket, timers } = this.#net;
    const key = flows.key;
    if (!isUnicast(key, SideWord.Endpoint) || !isUnicast(key, SideWord.Ours)) {
      counters.add(Count.dropIpAddress);
      return -1;
    }
    if (flows.active === flows.capacity) {
      counters.add(Count.dropFlowTableFull);
      this.#warn("flow table is full, new pings are refused");
      return -1;
    }
    const v6 = !isIpv4(key, SideWord.Ours);
    const flow = flows.allocate();
    this.#hopLimit[flow] = this.#emptyErrors[flow] = 0;
    flows.initiate(flow);
    outboundTarget(rules, key, false);
    flows.target(flow);
    const fd = this.#connect(flow, v6);
    if (fd < 0) {
      this.#refused(flow, -fd, at, end - at);
      flows.cancel(flow);
      return fd;
    }
    socket[flow] = fd;
    flows.setType(flow, v6 ? FlowType.Ping6 : FlowType.Ping4);
    flows.hash(flow, INITIATING);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    timers.arm(flow, host.nowMs + IDLE_MS);
    return flow;
  }

  /** Opens and connects the socket for the target side in `flows.key`: a descriptor or a negative errno. */
  #connect(flow: FlowIndex, v6: boolean): Fd {
    const { flows, host, rules } = this.#net;
    const key = flows.key;
    const fd = host.openPing(v6);
    if (fd === -Errno.EACCES || fd === -Errno.EPERM) this.#sayForbidden();
    if (fd < 0) return fd;
    let result = 0;
    const device = familyRules(rules, v6).outboundInterface;
    if (device !== undefined && !isLoopback(key, SideWord.Endpoint)) result = host.bindToDevice(fd, device);
    // Some security policies forbid binding, and most pings do without.
    if (!isUnspecified(key, SideWord.Ours)) host.bind(fd, flow);
    if (result >= 0) result = host.connect(fd, flow);
    if (result >= 0) result = host.watch(fd, (flow << 1) | TARGET);
    if (result >= 0) return fd;
    host.close(fd);
    return result;
  }

  /** Counts a request that found no socket, and tells the container when the host has no way. */
  #refused(flow: FlowIndex, errno: number, at: number, length: number): void {
    const { counters } = this.#net;
    if (errno === Errno.EMFILE || errno === Errno.ENFILE) {
      counters.add(Count.dropSocketLimit);
      return this.#warn("no more sockets may be opened, new pings are refused");
    }
    counters.add(Count.dropConnectFailed);
    sendPingError(this.#net, this.#output, flow, errno, 0, at, length);
  }

  #close(flow: FlowIndex): void {
    const { counters, flows, host, socket, timers } = this.#net;
    timers.disarm(flow);
    host.close(socket[flow]);
    socket[flow] = -1;
    flows.close(flow);
    counters.add(Count.flowsClosed);
  }

  #sayForbidden(): void {
    if (this.#forbiddenSaid) return;
    this.#forbiddenSaid = true;
    this.#net.log.warn(
      "ping from the container does not work: the host allows no ping sockets to our groups; " +
        'an administrator can with: sysctl -w net.ipv4.ping_group_range="0 2147483647"',
    );
  }

  #warn(message: string): void {
    const { host, log } = this.#net;
    this.#warnings.warn(log, host.nowMs, message);
  }
}
