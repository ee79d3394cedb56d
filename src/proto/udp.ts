/**
 * UDP. Every conversation of the container has a connected socket of its own on the host, which keeps the
 * container's source port where it can. Datagrams of one batch leave in trains, trains that arrive go to the
 * container in one frame. See udp-send.ts, udp-receive.ts, udp-errors.ts, udp-flows.ts.
 *
 * Datagrams to a group or to everybody go out, but a connected socket hears nothing from others: answers to
 * discovery (SSDP, mDNS) do not come in.
 */
import { isIpv4, isUnicast, isUnspecified, isLoopback } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { FlowType, Pif } from "../flow/state.ts";
import {
  INITIATING,
  packPorts,
  SIDE_WORDS,
  SideWord,
  TARGET,
  type FlowIndex,
  type SideIndex,
} from "../flow/table.ts";
import { familyRules, isDnsForward, outboundTarget } from "../forward/address-rules.ts";
import { Resolvers } from "../forward/resolvers.ts";
import { RateLimit } from "../log/rate-limit.ts";
import { isUdpValid, UDP_LENGTH, udpDestinationPort, udpLength, udpSourcePort } from "../wire/udp.ts";
import { Batch } from "./batch.ts";
import type { Fd } from "./host.ts";
import type { Upper } from "./input.ts";
import { EpollEvent, Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";
import type { FlowHandler } from "./stack.ts";
import { UdpErrors } from "./udp-errors.ts";
import { DontFragment, UdpFlows } from "./udp-flows.ts";
import { UdpReceiver } from "./udp-receive.ts";
import { UdpSender } from "./udp-send.ts";

/** How long a resolver may take before the next one is asked. */
const RESOLVER_PATIENCE_MS = 2_000;
/** Error events without an error after which a flow ends, before it eats all our time. */
const EMPTY_ERRORS = 8;
/** The first port that everybody may use. */
const UNPRIVILEGED_PORT = 1024;
/** Datagrams in one frame at most (UDP_MAX_SEGMENTS, linux/udp.h). */
const FRAME_DATAGRAMS = 128;
/** Datagrams thrown away at most before a socket is used. */
const STRAY_DATAGRAMS = 64;

export class Udp implements Upper, FlowHandler {
  readonly #net: Net;
  readonly #view: DataView;
  readonly #flows: UdpFlows;
  readonly #batch: Batch;
  readonly #errors: UdpErrors;
  readonly #sender: UdpSender;
  readonly #receiver: UdpReceiver;
  readonly #resolvers = new Resolvers();
  /** The TAP side of the flow under construction. */
  readonly #tapKey = new Uint32Array(SIDE_WORDS);
  readonly #warnings = new RateLimit();

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#view = net.host.arena.view;
    this.#flows = new UdpFlows(net.flows.capacity);
    this.#batch = new Batch(net.flows.capacity);
    this.#errors = new UdpErrors(net, output, this.#flows, (flow) => this.#unanswered(flow));
    this.#sender = new UdpSender(net, this.#flows, this.#errors);
    this.#receiver = new UdpReceiver(net, output, this.#flows, this.#errors);
  }

  /** Takes a datagram from the container; it leaves at `endOfFrames`. */
  input(at: number, end: number): void {
    const { counters, flows, host, packet } = this.#net;
    if (!isUdpValid(this.#view, at, end)) return counters.add(Count.dropUdpHeader);
    const payloadAt = at + UDP_LENGTH;
    const length = udpLength(this.#view, at) - UDP_LENGTH;
    if (packet.segment > 0 && length > packet.segment * FRAME_DATAGRAMS) {
      return counters.add(Count.dropUdpHeader);
    }
    flows.key[SideWord.Ports] = packPorts(udpDestinationPort(this.#view, at), udpSourcePort(this.#view, at));
    const flow = this.#find(payloadAt, length);
    if (flow < 0) return;
    this.#flows.noteSent(flow, host.nowMs);
    this.#applyOptions(flow);
    if (packet.segment === 0 || length <= packet.segment) return this.#batch.append(flow, payloadAt, length);
    // A train as the container sent it.
    this.#flush(flow);
    for (let sent = 0; sent < length; sent += packet.segment) {
      this.#sender.add(flow, payloadAt + sent, Math.min(packet.segment, length - sent));
    }
    this.#sender.end(flow);
  }

  /** Sends the datagrams of the batch. */
  endOfFrames(): void {
    const batch = this.#batch;
    for (let i = 0; i < batch.touchedCount; i++) this.#flush(batch.touched[i]);
    batch.clear();
  }

  socketEvent(side: SideIndex, events: number): void {
    const flow = side >> 1;
    if ((events & EpollEvent.Error) !== 0 && this.#errors.drain(flow, 0, 0) === 0) {
      if (++this.#flows.emptyErrors[flow] >= EMPTY_ERRORS) return this.#close(flow);
    }
    if ((events & ~EpollEvent.Error) !== 0) this.#receiver.ready(flow);
  }

  /** Receives from sockets that are readable, each within a budget. */
  service(): void {
    this.#receiver.service();
  }

  get isBusy(): boolean {
    return this.#receiver.isBusy;
  }

  timer(flow: FlowIndex): void {
    const { host, timers } = this.#net;
    const columns = this.#flows;
    if (columns.resolver[flow] !== 0 && columns.received[flow] === 0) this.#unanswered(flow);
    const deadline = columns.deadline(flow);
    if (host.nowMs >= deadline) this.#close(flow);
    else timers.arm(flow, deadline);
  }

  /** The flow of the datagram whose TAP side is in `flows.key`, new if need be; negative when there is none. */
  #find(payloadAt: number, length: number): FlowIndex {
    const { flows, host, rules } = this.#net;
    const columns = this.#flows;
    const side = flows.lookup();
    if (side < 0) return this.#open(payloadAt, length);
    const flow = side >> 1;
    const resolver = columns.resolver[flow];
    if (resolver === 0 || columns.received[flow] > 0) return flow;
    if (this.#resolvers.current(rules.dnsServers.length, host.nowMs) === resolver - 1) return flow;
    // A repeated question: somebody else shall answer it.
    this.#close(flow);
    return this.#open(payloadAt, length);
  }

  /** Sends what was collected before the hop limit or "don't fragment" of the flow's datagrams changes. */
  #applyOptions(flow: FlowIndex): void {
    const { packet } = this.#net;
    const columns = this.#flows;
    const dontFragment = packet.dontFragment ? DontFragment.On : DontFragment.Off;
    // No socket sends with hop limit 0; such a datagram goes out with the limit of the one before.
    const hopLimit = packet.hopLimit === 0 ? columns.hopLimit[flow] : packet.hopLimit;
    if (columns.hopLimit[flow] === hopLimit && columns.dontFragment[flow] === dontFragment) return;
    this.#flush(flow);
    this.#sender.setOptions(flow, hopLimit, dontFragment);
  }

  #flush(flow: FlowIndex): void {
    const batch = this.#batch;
    let entry = batch.first(flow);
    if (entry < 0) return;
    batch.drop(flow);
    const closed = this.#net.flows.closed[flow] === 1;
    for (; entry >= 0; entry = batch.next[entry]) {
      if (closed) this.#net.counters.add(Count.dropUdpSend);
      else this.#sender.add(flow, batch.at[entry], batch.length[entry]);
    }
    if (!closed) this.#sender.end(flow);
  }

  /** Starts a flow for the datagram whose TAP side is in `flows.key`; negative when it cannot be. */
  #open(payloadAt: number, length: number): FlowIndex {
    const { counters, flows } = this.#net;
    const key = flows.key;
    const ports = key[SideWord.Ports];
    if (ports >>> 16 === 0 || (ports & 0xffff) === 0) {
      counters.add(Count.dropPort);
      return -1;
    }
    if (!isUnicast(key, SideWord.Endpoint) || isUnspecified(key, SideWord.Ours)) {
      counters.add(Count.dropIpAddress);
      return -1;
    }
    if (flows.active === flows.capacity) {
      counters.add(Count.dropFlowTableFull);
      this.#warn("flow table is full, new UDP conversations are refused");
      return -1;
    }
    this.#tapKey.set(key);
    // Ports of the host's services (DHCP, NTP) stay free for them, even where we had the privilege to take them.
    const keepPort = (ports & 0xffff) >= UNPRIVILEGED_PORT;
    let result = this.#build(keepPort, payloadAt, length);
    if (keepPort && (result === -Errno.EADDRINUSE || result === -Errno.EACCES)) {
      // Somebody on the host has the port, or the administrator reserved it: any other will do.
      key.set(this.#tapKey);
      result = this.#build(false, payloadAt, length);
    }
    if (result === -Errno.EMFILE || result === -Errno.ENFILE) {
      counters.add(Count.dropSocketLimit);
      this.#warn("no more sockets may be opened, new UDP conversations are refused");
    } else if (result < 0) {
      counters.add(Count.dropConnectFailed);
    }
    return result;
  }

  /** Builds the flow whose TAP side is in `flows.key`; a negative errno when the host refuses. */
  #build(keepPort: boolean, payloadAt: number, length: number): FlowIndex {
    const { counters, flows, host, rules, timers, socket } = this.#net;
    const columns = this.#flows;
    const key = flows.key;
    const flow = flows.allocate();
    columns.reset(flow);
    if (isDnsForward(familyRules(rules, !isIpv4(key, SideWord.Ours)), key)) {
      columns.resolver[flow] = 1 + this.#resolvers.current(rules.dnsServers.length, host.nowMs);
    }
    flows.initiate(flow);
    outboundTarget(rules, key, keepPort, Math.max(0, columns.resolver[flow] - 1));
    flows.target(flow);
    const fd = this.#connect(flow, keepPort);
    if (fd < 0) {
      const taken = keepPort && (fd === -Errno.EADDRINUSE || fd === -Errno.EACCES);
      if (!taken) this.#errors.refused(flow, -fd, payloadAt, length);
      flows.cancel(flow);
      return fd;
    }
    socket[flow] = fd;
    flows.setType(flow, FlowType.Udp);
    flows.hash(flow, INITIATING);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    columns.activeAt[flow] = host.nowMs;
    const impatient = columns.resolver[flow] !== 0 && rules.dnsServers.length > 1;
    timers.arm(flow, impatient ? host.nowMs + RESOLVER_PATIENCE_MS : columns.deadline(flow));
    return flow;
  }

  /** Opens, binds and connects the socket for the target side in `flows.key`: a descriptor or a negative errno. */
  #connect(flow: FlowIndex, keepPort: boolean): Fd {
    const { flows, host, rules } = this.#net;
    const key = flows.key;
    const v6 = !isIpv4(key, SideWord.Endpoint);
    const fd = host.openUdp(v6, Pif.Host);
    if (fd < 0) return fd;
    let result = 0;
    const device = familyRules(rules, v6).outboundInterface;
    if (device !== undefined && !isLoopback(key, SideWord.Endpoint)) result = host.bindToDevice(fd, device);
    const bound = keepPort || !isUnspecified(key, SideWord.Ours);
    if (result >= 0 && bound) result = host.bind(fd, flow);
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
    if (bound) this.#discardStrays(fd);
    return fd;
  }

  /** What came between bind and connect may be from anybody; nobody has been asked anything yet. */
  #discardStrays(fd: Fd): void {
    const { host } = this.#net;
    const at = this.#receiver.scratchAt;
    for (let i = 0; i < STRAY_DATAGRAMS && host.receive(fd, at, 1) >= 0; i++);
  }

  /** Notes that the flow's peer does not answer, in case it is a resolver. */
  #unanswered(flow: FlowIndex): void {
    const { host, rules } = this.#net;
    const resolver = this.#flows.resolver[flow];
    if (resolver !== 0) this.#resolvers.failed(resolver - 1, rules.dnsServers.length, host.nowMs);
  }

  #close(flow: FlowIndex): void {
    const { counters, flows, host, socket, timers } = this.#net;
    timers.disarm(flow);
    host.close(socket[flow]);
    socket[flow] = -1;
    flows.close(flow);
    counters.add(Count.flowsClosed);
  }

  #warn(message: string): void {
    const { host, log } = this.#net;
    if (!this.#warnings.allow(host.nowMs)) return;
    const { suppressed } = this.#warnings;
    log.warn(message, suppressed === 0 ? undefined : { suppressed });
  }
}
