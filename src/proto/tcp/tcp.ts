/**
 * TCP between the container and sockets of the host. This is no TCP of its own: the container's kernel and the
 * host's kernel are the two ends, and what happens on one side is made to happen on the other. See README.md.
 */
import { isUnicast } from "../../base/address.ts";
import { Count } from "../../base/counters.ts";
import { FlowQueue } from "../../flow/queue.ts";
import { FlowType } from "../../flow/state.ts";
import {
  endpointPort,
  NO_FLOW,
  oursPort,
  packPorts,
  SideWord,
  type FlowIndex,
  type SideIndex,
} from "../../flow/table.ts";
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
} from "../../wire/tcp.ts";
import { Batch } from "../batch.ts";
import type { Fd } from "../host.ts";
import type { Upper } from "../input.ts";
import { EpollEvent } from "../linux.ts";
import type { Net } from "../net.ts";
import type { Output } from "../output.ts";
import type { FlowHandler } from "../stack.ts";
import { Connections, Event, Flag } from "./connections.ts";
import { FromTap, HALF_CLOSED_MS, resetIsExact, resetIsInWindow } from "./from-tap.ts";

import { Inbound } from "./inbound.ts";
import { Outbound } from "./outbound.ts";
import { Pending } from "./pending.ts";
import { IDLE_MS } from "./syn.ts";
import { ToTap, TURN_BYTES } from "./to-tap.ts";

/** Pause between questions to a container that may have forgotten a connection, and how many there are. */
const PROBE_MS = 75_000;
const MAX_PROBES = 9;

export class Tcp implements Upper, FlowHandler {
  readonly connections: Connections;
  readonly #net: Net;
  readonly #view: DataView;
  readonly #batch: Batch;
  readonly #pending: Pending;
  readonly #toTap: ToTap;
  readonly #fromTap: FromTap;
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  /** Connections that wait for a turn. */
  readonly #ready: FlowQueue;

  constructor(net: Net, output: Output) {
    const { capacity } = net.flows;
    this.#net = net;
    this.#view = net.host.arena.view;
    this.#batch = new Batch(capacity);
    this.#ready = new FlowQueue(capacity);
    this.connections = new Connections(capacity);
    this.#pending = new Pending(net.host, capacity, net.plan.poolAt, net.plan.poolLength);
    const reset = (flow: FlowIndex): void => this.reset(flow);
    this.#toTap = new ToTap(net, output, this.connections, this.#pending, reset);
    this.#fromTap = new FromTap(net, this.connections, this.#batch, this.#pending, this.#toTap, reset);
    const close = (flow: FlowIndex, abort: boolean): void => this.#close(flow, abort);
    this.#outbound = new Outbound(net, output, this.connections, this.#toTap, close);
    this.#inbound = new Inbound(net, this.connections, this.#toTap, close);
  }

  /**
   * Takes a client from outside: `fd` is an accepted socket, the flow in state TGT with the TAP as its target. It is
   * active or gone afterwards.
   */
  accepted(flow: FlowIndex, fd: Fd): void {
    this.#inbound.accepted(flow, fd);
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
    if ((flags & (TcpFlag.Syn | TcpFlag.Ack)) === TcpFlag.Syn) return this.#outbound.open(at);
    this.#refuseUnknown(at, end, flags);
  }

  /** Ends a batch of frames. */
  endOfFrames(): void {
    const batch = this.#batch;
    const { flows } = this.#net;
    for (let i = 0; i < batch.touchedCount; i++) {
      const flow = batch.touched[i];
      if (flows.closed[flow] === 1) continue;
      this.#fromTap.flush(flow);
      this.#afterwards(flow);
    }
    batch.clear();
  }

  socketEvent(side: SideIndex, events: number): void {
    const flow = side >> 1;
    const c = this.connections;
    if ((events & ~(EpollEvent.In | EpollEvent.Out)) !== 0) c.flags[flow] |= Flag.Hangup;
    if ((c.events[flow] & Event.Connecting) !== 0) return this.#outbound.connected(flow, events);
    if ((events & EpollEvent.Out) !== 0) {
      if (!this.#fromTap.drain(flow)) return;
      this.#afterwards(flow);
    }
    if ((events & ~EpollEvent.Out) !== 0 && this.#net.flows.closed[flow] === 0) {
      c.flags[flow] |= Flag.Readable;
      this.#ready.add(flow);
    }
    if ((events & EpollEvent.Error) !== 0) {
      // What the peer said before it broke off still goes to the container, then the break.
      this.#toTap.pump(flow, TURN_BYTES);
      this.reset(flow);
    }
  }

  /** Gives every ready connection a turn. */
  service(): void {
    const c = this.connections;
    for (let left = this.#ready.length; left > 0 && !this.#isHeldBack; left--) {
      const flow = this.#ready.take();
      // A connection that has ended in the meantime has no events.
      if ((c.events[flow] & Event.Established) === 0) continue;
      if (this.#toTap.pump(flow)) this.#ready.add(flow);
      else this.#afterwards(flow);
    }
  }

  /** Whether some connection waits for a turn. */
  get isBusy(): boolean {
    return this.#ready.length > 0 && !this.#isHeldBack;
  }

  /** Whether nothing more may go to the container for the moment. */
  get #isHeldBack(): boolean {
    return this.#net.ingress?.isOpen === false;
  }

  timer(flow: FlowIndex): void {
    const c = this.connections;
    const now = this.#net.host.nowMs;
    if ((c.events[flow] & Event.Connecting) !== 0 && this.#outbound.overdue(flow)) return;
    this.#toTap.discard(flow);
    if (c.ackAt[flow] !== 0 && c.ackAt[flow] <= now) {
      // Once only: should the TAP refuse it, the container asks again.
      c.ackAt[flow] = 0;
      this.#toTap.ack(flow);
    }
    if (c.retransmitAt[flow] !== 0 && c.retransmitAt[flow] <= now) this.#toTap.retransmitTimeout(flow);
    this.#afterwards(flow);
    if (this.#net.flows.closed[flow] === 1) return;
    const halfClosed = (c.events[flow] & (Event.SocketFinSent | Event.TapFinSent)) === Event.SocketFinSent;
    const idleAt = c.activeAt[flow] + (halfClosed ? HALF_CLOSED_MS : IDLE_MS) + c.probes[flow] * PROBE_MS;
    if (idleAt <= now && !this.#probe(flow)) return;
    let next = Math.max(idleAt, now + PROBE_MS);
    if (idleAt > now) next = idleAt;
    if (c.ackAt[flow] !== 0) next = Math.min(next, c.ackAt[flow]);
    if (c.retransmitAt[flow] !== 0) next = Math.min(next, c.retransmitAt[flow]);
    this.#net.timers.arm(flow, next);
  }

  /** Ends a connection abnormally: both sides see a reset. */
  reset(flow: FlowIndex): void {
    if (this.#net.flows.closed[flow] === 1) return;
    if ((this.connections.events[flow] & Event.Connecting) === 0) this.#toTap.rst(flow);
    this.#close(flow, true);
  }

  /** Ends all connections; nobody shall take a cut stream for a complete one. */
  shutdown(): void {
    const { flows } = this.#net;
    flows.forEach((flow) => {
      if (flows.type[flow] === FlowType.Tcp) this.reset(flow);
    });
  }

  /** Handles a segment of a known flow; false if the flow turned out to be a thing of the past. */
  #segment(flow: FlowIndex, at: number, end: number): boolean {
    const c = this.connections;
    const flags = tcpFlags(this.#view, at);
    const sequence = tcpSequence(this.#view, at);
    if ((c.events[flow] & Event.SynSent) !== 0) {
      // What the client has said meanwhile follows at the end of the batch.
      if (this.#inbound.answered(flow, at)) this.#batch.touch(flow);
      return true;
    }
    if ((flags & TcpFlag.Rst) !== 0) {
      if (resetIsExact(c, flow, sequence)) this.#close(flow, true);
      else if (resetIsInWindow(c, flow, sequence)) this.#fromTap.challenge(flow);
      return true;
    }
    const repeated = (flags & TcpFlag.Syn) !== 0 && seqAdd(sequence, 1) === c.rcvNxt[flow];
    if ((c.events[flow] & Event.Connecting) !== 0) {
      if ((flags & TcpFlag.Syn) === 0 || repeated) return true;
      // The container forgot this attempt, which needs no packet, and uses the port anew.
      this.#close(flow, true);
      return false;
    }
    if ((c.events[flow] & Event.SynAckSent) !== 0) {
      if (repeated) {
        this.#toTap.syn(flow);
        return true;
      }
      if (!this.#outbound.established(flow, at, flags)) return true;
    }
    this.#fromTap.segment(flow, at, end);
    return true;
  }

  /** Answers a segment that belongs to no connection (RFC 9293 section 3.10.7.1). */
  #refuseUnknown(at: number, end: number, flags: number): void {
    const view = this.#view;
    const { flows, counters } = this.#net;
    counters.add(Count.dropTcpNoFlow);
    const ours = oursPort(flows.sides, flows.keyWords);
    if (ours === 0 || endpointPort(flows.sides, flows.keyWords) === 0) return;
    if (!isUnicast(flows.key, SideWord.Ours) || !isUnicast(flows.key, SideWord.Endpoint)) return;
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
    if (c.probes[flow] >= MAX_PROBES || (c.events[flow] & Event.Established) === 0) {
      this.reset(flow);
      return false;
    }
    c.probes[flow]++;
    this.#toTap.keepAlive(flow);
    // The far side may be gone as well; the kernel asks there.
    this.#net.host.setKeepAlive(this.#net.socket[flow]);
    return true;
  }

  /** After any handling: a connection closed on all four ways is over; one with more to read gets its turn. */
  #afterwards(flow: FlowIndex): void {
    const c = this.connections;
    if (this.#net.flows.closed[flow] === 1) return;
    const done = Event.SocketFinSent | Event.TapFinAcknowledged;
    if ((c.events[flow] & done) === done) return this.#close(flow, false);
    const window = c.sndWnd[flow] > (c.sndNxt[flow] - c.sndUna[flow]) >>> 0;
    if ((c.flags[flow] & Flag.Readable) !== 0 && window && (c.events[flow] & Event.TapFinSent) === 0) {
      this.#ready.add(flow);
    }
  }

  #close(flow: FlowIndex, abort: boolean): void {
    const { host, flows, socket, timers, counters } = this.#net;
    const fd = socket[flow];
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
