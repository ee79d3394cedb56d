/**
 * TCP between the container and sockets of the host. This is no TCP of its own: the container's kernel and the
 * host's kernel are the two ends, and what happens on one side is made to happen on the other. See README.md.
 */
import { isUnicast } from "../../base/address.ts";
import { Count } from "../../base/counters.ts";
import { FlowType } from "../../flow/state.ts";
import {
  endpointPort,
  INITIATING,
  isMapped,
  NO_FLOW,
  oursPort,
  packPorts,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
} from "../../flow/table.ts";
import { familyRules, isLoopback, outboundTarget } from "../../forward/address-rules.ts";
import { seqAdd } from "../../wire/sequence.ts";
import {
  isTcpValid,
  tcpAcknowledgment,
  tcpDestinationPort,
  tcpFlags,
  tcpHeaderLength,
  TcpFlag,
  tcpSequence,
  tcpSourcePort,
  tcpWindow,
} from "../../wire/tcp.ts";
import { tcpMss, tcpWindowScale } from "../../wire/tcp-options.ts";
import { Batch } from "../batch.ts";
import { sendUnreachable } from "../icmp-errors.ts";
import type { Upper } from "../input.ts";
import type { Net } from "../net.ts";
import type { Output } from "../output.ts";
import type { FlowHandler } from "../stack.ts";
import { Connections, Event, Flag } from "./connections.ts";
import { FromTap, resetIsExact, resetIsInWindow } from "./from-tap.ts";
import { Pending } from "./pending.ts";
import { ToTap, WINDOW_SHIFT } from "./to-tap.ts";

const EPOLLIN = 0x1;
const EPOLLOUT = 0x4;
const EPOLLERR = 0x8;
const EPOLLHUP = 0x10;
const EPOLLRDHUP = 0x2000;

const EINPROGRESS = 115;
const ENETUNREACH = 101;
const ETIMEDOUT = 110;
const EHOSTUNREACH = 113;

/** Segment size of a container that names none (RFC 9293 section 3.7.1). */
const DEFAULT_MSS = 536;
const MIN_MSS = 88;
/** Window shifts beyond this are read as this (RFC 7323 section 2.3). */
const MAX_SHIFT = 14;
/** After this long without a word from either side, the container is asked whether it still knows. */
const IDLE_MS = 7_200_000;
const PROBE_MS = 75_000;
const MAX_PROBES = 9;

export class Tcp implements Upper, FlowHandler {
  readonly connections: Connections;
  readonly #net: Net;
  readonly #output: Output;
  readonly #view: DataView;
  readonly #batch: Batch;
  readonly #pending: Pending;
  readonly #toTap: ToTap;
  readonly #fromTap: FromTap;
  /** Connections to visit in this turn and in the next. */
  #ready: Int32Array;
  #next: Int32Array;
  #readyCount = 0;

  constructor(net: Net, output: Output) {
    const { capacity } = net.flows;
    this.#net = net;
    this.#output = output;
    this.#view = net.host.arena.view;
    this.#batch = new Batch(capacity);
    this.#ready = new Int32Array(capacity);
    this.#next = new Int32Array(capacity);
    this.connections = new Connections(capacity);
    this.#pending = new Pending(net.host, capacity, net.plan.poolAt, net.plan.poolLength);
    const reset = (flow: FlowIndex): void => this.reset(flow);
    this.#toTap = new ToTap(net, output, this.connections, this.#pending, reset);
    this.#fromTap = new FromTap(net, this.connections, this.#batch, this.#pending, this.#toTap, reset);
  }

  /** A segment from the container; `net.flows.key` holds its addresses. */
  input(at: number, end: number): void {
    const { flows, counters } = this.#net;
    const view = this.#view;
    if (!isTcpValid(view, at, end)) return counters.add(Count.dropTcpHeader);
    flows.key[SideWord.Ports] = packPorts(tcpDestinationPort(view, at), tcpSourcePort(view, at));
    const side = flows.lookup();
    if (side !== NO_FLOW && this.#segment(side >> 1, at, end)) return;
    const flags = tcpFlags(view, at);
    if ((flags & TcpFlag.Rst) !== 0) return counters.add(Count.dropTcpNoFlow);
    if ((flags & (TcpFlag.Syn | TcpFlag.Ack)) === TcpFlag.Syn) return this.#open(at);
    this.#refuseUnknown(at, end, flags);
  }

  /** Ends a batch of frames. */
  endOfFrames(): void {
    const batch = this.#batch;
    const { flows } = this.#net;
    for (let i = 0; i < batch.touchedCount; i++) {
      const flow = batch.touched[i]!;
      if (flows.closed[flow] === 1) continue;
      this.#fromTap.flush(flow);
      this.#afterwards(flow);
    }
    batch.clear();
  }

  socketEvent(flow: FlowIndex, events: number): void {
    const c = this.connections;
    if ((c.events[flow]! & Event.Connecting) !== 0) return this.#connected(flow, events);
    if ((events & EPOLLOUT) !== 0 && !this.#fromTap.drain(flow)) return;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) {
      c.flags[flow]! |= Flag.Readable;
      this.#makeReady(flow);
    }
    if ((events & EPOLLERR) !== 0) {
      // What the peer said before it broke off still goes to the container, then the break.
      this.#toTap.pump(flow);
      this.reset(flow);
    }
  }

  /** Gives every ready connection a turn; true when some have more to do. */
  service(): boolean {
    const c = this.connections;
    const current = this.#ready;
    const count = this.#readyCount;
    this.#ready = this.#next;
    this.#next = current;
    this.#readyCount = 0;
    for (let i = 0; i < count; i++) {
      const flow = current[i]!;
      c.flags[flow]! &= ~Flag.Ready;
      // A connection that has ended in the meantime has no events.
      if ((c.events[flow]! & Event.Established) === 0) continue;
      if (this.#toTap.pump(flow)) this.#makeReady(flow);
      else this.#afterwards(flow);
    }
    return this.#readyCount > 0;
  }

  timer(flow: FlowIndex): void {
    const c = this.connections;
    const now = this.#net.host.nowMs;
    if (c.ackAt[flow] !== 0 && c.ackAt[flow]! <= now) this.#toTap.ack(flow);
    if (c.retransmitAt[flow] !== 0 && c.retransmitAt[flow]! <= now) this.#toTap.retransmitTimeout(flow);
    if (this.#net.flows.closed[flow] === 1) return;
    const idleAt = c.activeAt[flow]! + IDLE_MS + c.probes[flow]! * PROBE_MS;
    if (idleAt <= now && !this.#probe(flow)) return;
    let next = Math.max(idleAt, now + PROBE_MS);
    if (idleAt > now) next = idleAt;
    if (c.ackAt[flow] !== 0) next = Math.min(next, c.ackAt[flow]!);
    if (c.retransmitAt[flow] !== 0) next = Math.min(next, c.retransmitAt[flow]!);
    this.#net.timers.arm(flow, next);
  }

  /** Ends a connection abnormally: both sides see a reset. */
  reset(flow: FlowIndex): void {
    if (this.#net.flows.closed[flow] === 1) return;
    if ((this.connections.events[flow]! & Event.Connecting) === 0) this.#toTap.rst(flow);
    this.#close(flow, true);
  }

  /** Ends all connections; nobody shall take a cut stream for a complete one. */
  shutdown(): void {
    const { flows } = this.#net;
    flows.forEach((flow) => {
      if (flows.type[flow] === FlowType.Tcp) this.reset(flow);
    });
  }

  /** Bytes that wait for host sockets, of one connection. */
  pendingBytes(flow: FlowIndex): number {
    return this.#pending.bytes[flow]!;
  }

  /** Handles a segment of a known flow; false if the flow turned out to be a thing of the past. */
  #segment(flow: FlowIndex, at: number, end: number): boolean {
    const c = this.connections;
    const flags = tcpFlags(this.#view, at);
    const sequence = tcpSequence(this.#view, at);
    if ((flags & TcpFlag.Rst) !== 0) {
      if (resetIsExact(c, flow, sequence)) this.#close(flow, true);
      else if (resetIsInWindow(c, flow, sequence)) this.#toTap.ack(flow);
      return true;
    }
    const repeated = (flags & TcpFlag.Syn) !== 0 && seqAdd(sequence, 1) === c.rcvNxt[flow];
    if ((c.events[flow]! & Event.Connecting) !== 0) {
      if ((flags & TcpFlag.Syn) === 0 || repeated) return true;
      // The container forgot this attempt, which needs no packet, and uses the port anew.
      this.#close(flow, true);
      return false;
    }
    if ((c.events[flow]! & Event.SynAckSent) !== 0) {
      if (repeated) {
        this.#toTap.synAck(flow);
        return true;
      }
      if (!this.#established(flow, at, flags)) return true;
    }
    this.#fromTap.segment(flow, at, end);
    return true;
  }

  /** The third segment of the handshake; false if it is not. */
  #established(flow: FlowIndex, at: number, flags: number): boolean {
    const c = this.connections;
    if ((flags & (TcpFlag.Syn | TcpFlag.Ack)) !== TcpFlag.Ack) return false;
    const ack = tcpAcknowledgment(this.#view, at);
    if (ack !== c.sndNxt[flow]) {
      this.#net.counters.add(Count.dropTcpOutOfWindow);
      return false;
    }
    c.sndUna[flow] = ack;
    c.retries[flow] = 0;
    c.retransmitAt[flow] = 0;
    c.events[flow] = Event.Established;
    c.flags[flow]! |= Flag.Readable;
    c.ackSent[flow] = c.rcvNxt[flow]!;
    return true;
  }

  /** The container wants a new connection: the key holds its tuple, the SYN is at `at`. */
  #open(at: number): void {
    const { flows, counters, host, rules } = this.#net;
    const ports = flows.key[SideWord.Ports]!;
    if (ports >>> 16 === 0 || (ports & 0xffff) === 0) return counters.add(Count.dropPort);
    if (!isUnicast(flows.key, SideWord.Ours) || !isUnicast(flows.key, SideWord.Endpoint)) {
      return counters.add(Count.dropIpAddress);
    }
    const flow = flows.allocate();
    if (flow === NO_FLOW) return counters.add(Count.dropFlowTableFull);
    flows.initiate(flow);
    outboundTarget(rules, flows.key, false);
    flows.target(flow);
    flows.setType(flow, FlowType.Tcp);
    const words = wordsOf((flow << 1) | TARGET);
    const fd = host.openTcp(!isMapped(flows.sides, words + SideWord.Endpoint));
    if (fd < 0) {
      flows.cancel(flow);
      return counters.add(Count.dropSocketLimit);
    }
    this.#initialize(flow, at);
    const result = this.#connect(flow, fd);
    if (result < 0 && result !== -EINPROGRESS) {
      host.close(fd);
      counters.add(Count.dropConnectFailed);
      this.#refuse(flow, -result);
      return flows.cancel(flow);
    }
    this.#net.socket[flow] = fd;
    flows.hash(flow, INITIATING);
    this.#chooseSequence(flow);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    this.#net.timers.arm(flow, host.nowMs + IDLE_MS);
    const watched = host.watch(fd, flow);
    if (watched < 0) return this.#close(flow, true);
    if (result >= 0) this.#connected(flow, EPOLLOUT);
  }

  #connect(flow: FlowIndex, fd: number): number {
    const { flows, host, rules } = this.#net;
    const words = wordsOf((flow << 1) | TARGET);
    const family = familyRules(rules, !isMapped(flows.sides, words + SideWord.Endpoint));
    if (!isLoopback(flows.sides, words + SideWord.Endpoint)) {
      if (family.outboundInterface !== undefined) {
        const bound = host.bindToDevice(fd, family.outboundInterface);
        if (bound < 0) return bound;
      }
      if (family.outbound !== undefined) {
        const bound = host.bind(fd, flow);
        if (bound < 0) return bound;
      }
    }
    return host.connect(fd, flow);
  }

  /** Fills the row from the container's SYN. */
  #initialize(flow: FlowIndex, at: number): void {
    const c = this.connections;
    const { link, flows } = this.#net;
    const view = this.#view;
    // The row may still stand on the list of its former connection.
    const ready = c.flags[flow]! & Flag.Ready;
    c.reset(flow);
    c.flags[flow] = ready;
    c.events[flow] = Event.Connecting;
    c.activeAt[flow] = this.#net.host.nowMs;
    c.rcvNxt[flow] = c.ackSent[flow] = seqAdd(tcpSequence(view, at), 1);
    c.rcvAdvertised[flow] = c.rcvNxt[flow]!;
    const mss = tcpMss(view, at);
    const words = wordsOf(flow << 1);
    const largest = link.mtu - (isMapped(flows.sides, words + SideWord.Ours) ? 40 : 60);
    c.mss[flow] = Math.min(Math.max(mss < 0 ? DEFAULT_MSS : mss, MIN_MSS), Math.max(largest, MIN_MSS));
    const shift = tcpWindowScale(view, at);
    c.sndScale[flow] = Math.min(Math.max(shift, 0), MAX_SHIFT);
    c.rcvScale[flow] = shift < 0 ? 0 : WINDOW_SHIFT;
    c.sndWnd[flow] = tcpWindow(view, at);
  }

  /** Our initial sequence number: keyed hash of the tuple plus a clock of 32 ns ticks (RFC 6528). */
  #chooseSequence(flow: FlowIndex): void {
    const c = this.connections;
    const { flows, host } = this.#net;
    const ticks = host.nowMs * 31_250;
    const sequence = seqAdd((flows.hashLow ^ flows.hashHigh) >>> 0, ticks % 0x100000000);
    c.sndUna[flow] = c.sndNxt[flow] = c.sndMax[flow] = sequence;
  }

  /** The host's connect has ended, well or not. */
  #connected(flow: FlowIndex, events: number): void {
    const c = this.connections;
    const { host, socket } = this.#net;
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
      const error = host.takeError(socket[flow]!);
      this.#net.counters.add(Count.dropConnectFailed);
      this.#refuse(flow, error);
      return this.#close(flow, false);
    }
    if ((events & EPOLLOUT) === 0) return;
    c.events[flow] = Event.SynAckSent;
    this.#toTap.synAck(flow);
  }

  /** Makes a failed connect look inside as it does outside. */
  #refuse(flow: FlowIndex, error: number): void {
    const c = this.connections;
    const isn = seqAdd(c.rcvNxt[flow]!, -1);
    // The container's own time-out runs as long as the host's did; there is nothing to add.
    if (error === ETIMEDOUT) return;
    if (error === EHOSTUNREACH || error === ENETUNREACH) {
      return sendUnreachable(this.#net, this.#output, flow, error, isn);
    }
    const words = wordsOf((flow << 1) | INITIATING);
    this.#toTap.resetUnknown(words, 0, c.rcvNxt[flow]!, TcpFlag.Rst | TcpFlag.Ack);
  }

  /** Answers a segment that belongs to no connection (RFC 9293 section 3.10.7.1). */
  #refuseUnknown(at: number, end: number, flags: number): void {
    const view = this.#view;
    const { flows, counters } = this.#net;
    counters.add(Count.dropTcpNoFlow);
    const ours = oursPort(flows.sides, flows.keyWords);
    if (ours === 0 || endpointPort(flows.sides, flows.keyWords) === 0) return;
    if (!isUnicast(flows.key, SideWord.Ours)) return;
    if ((flags & TcpFlag.Ack) !== 0) {
      return this.#toTap.resetUnknown(flows.keyWords, tcpAcknowledgment(view, at), 0, TcpFlag.Rst);
    }
    const length = end - at - tcpHeaderLength(view, at) + ((flags & TcpFlag.Fin) !== 0 ? 1 : 0);
    const ack = seqAdd(tcpSequence(view, at), length);
    this.#toTap.resetUnknown(flows.keyWords, 0, ack, TcpFlag.Rst | TcpFlag.Ack);
  }

  /** Asks a silent container whether it still knows the connection; false if it has been given up. */
  #probe(flow: FlowIndex): boolean {
    const c = this.connections;
    if (c.probes[flow]! >= MAX_PROBES || (c.events[flow]! & Event.Established) === 0) {
      this.reset(flow);
      return false;
    }
    c.probes[flow]!++;
    this.#toTap.keepAlive(flow);
    // The far side may be gone as well; the kernel asks there.
    this.#net.host.setKeepAlive(this.#net.socket[flow]!);
    return true;
  }

  #makeReady(flow: FlowIndex): void {
    const c = this.connections;
    if ((c.flags[flow]! & Flag.Ready) !== 0) return;
    c.flags[flow]! |= Flag.Ready;
    this.#ready[this.#readyCount++] = flow;
  }

  /** After any handling: a connection closed on all four ways is over; one with more to read gets its turn. */
  #afterwards(flow: FlowIndex): void {
    const c = this.connections;
    if (this.#net.flows.closed[flow] === 1) return;
    const done = Event.SocketFinSent | Event.TapFinAcknowledged;
    if ((c.events[flow]! & done) === done) return this.#close(flow, false);
    const window = c.sndWnd[flow]! > (c.sndNxt[flow]! - c.sndUna[flow]!) >>> 0;
    if ((c.flags[flow]! & Flag.Readable) !== 0 && window && (c.events[flow]! & Event.TapFinSent) === 0) {
      this.#makeReady(flow);
    }
  }

  #close(flow: FlowIndex, abort: boolean): void {
    const { host, flows, socket, timers, counters } = this.#net;
    const fd = socket[flow]!;
    this.#pending.drop(flow);
    if (abort) {
      host.closeReset(fd);
    } else {
      // Bytes left in the socket would turn its close into a reset.
      this.#toTap.discard(flow);
      host.close(fd);
    }
    socket[flow] = -1;
    this.connections.events[flow] = 0;
    timers.disarm(flow);
    flows.close(flow);
    counters.add(Count.flowsClosed);
  }
}
