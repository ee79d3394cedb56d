/**
 * Segments from the container on a known connection. Acknowledgements are taken at once; payloads are chained
 * and go to the host socket at the end of the batch, one call for each connection. What the socket does not
 * take is kept, so that nothing the container was told is accepted can be lost.
 */
import { Count } from "../../base/counters.ts";
import type { FlowIndex } from "../../flow/table.ts";
import { seqAdd, seqDiff, seqGe, seqGt, seqLt } from "../../wire/sequence.ts";
import {
  tcpAcknowledgment,
  tcpFlags,
  tcpHeaderLength,
  TcpFlag,
  tcpSequence,
  tcpWindow,
} from "../../wire/tcp.ts";
import type { Batch } from "../batch.ts";
import { Errno } from "../linux.ts";
import type { Net } from "../net.ts";
import { type Connections, Event, Flag } from "./connections.ts";
import type { Pending } from "./pending.ts";
import { DELAYED_ACK_MS, type ToTap } from "./to-tap.ts";

const EAGAIN = -Errno.EAGAIN;
/** Repeated acknowledgements that make a sender believe in a loss (RFC 5681 section 3.2), and the new one before. */
const LOSS_ACKS = 4;
/** While the container answers window probes with a closed window, the pause between them grows no further. */
const PROBE_RETRIES = 6;
/**
 * The same as IDLE_MS for a container that has ended its stream: without a program, its kernel forgets the connection
 * after 60 s (tcp_fin_timeout), whatever the far side does.
 */
export const HALF_CLOSED_MS = 120_000;

export class FromTap {
  readonly #net: Net;
  readonly #view: DataView;
  readonly #c: Connections;
  readonly #batch: Batch;
  readonly #pending: Pending;
  readonly #toTap: ToTap;
  /** Ends a connection with a reset to both sides. */
  readonly #reset: (flow: FlowIndex) => void;

  constructor(
    net: Net,
    connections: Connections,
    batch: Batch,
    pending: Pending,
    toTap: ToTap,
    reset: (flow: FlowIndex) => void,
  ) {
    this.#net = net;
    this.#view = net.host.arena.view;
    this.#c = connections;
    this.#batch = batch;
    this.#pending = pending;
    this.#toTap = toTap;
    this.#reset = reset;
  }

  /** Handles a segment without RST of a connection past its handshake; `[at, end)` is header and payload. */
  segment(flow: FlowIndex, at: number, end: number): void {
    const c = this.#c;
    const view = this.#view;
    const flags = tcpFlags(view, at);
    const sequence = tcpSequence(view, at);
    const payloadAt = at + tcpHeaderLength(view, at);
    const length = end - payloadAt;
    this.#batch.touch(flow);
    c.activeAt[flow] = this.#net.host.nowMs;
    c.probes[flow] = 0;
    // A SYN here is a mistake or an attack: the answer lets an honest container find out (RFC 5961 section 4).
    if ((flags & TcpFlag.Syn) !== 0) return this.#answer(flow, Count.dropTcpOutOfWindow);
    if ((flags & TcpFlag.Ack) === 0) return this.#net.counters.add(Count.dropTcpHeader);
    const ack = tcpAcknowledgment(view, at);
    if (seqGt(ack, c.sndMax[flow])) return this.#answer(flow, Count.dropTcpOutOfWindow);
    if (length <= 1 && sequence === seqAdd(c.rcvNxt[flow], -1) && (flags & TcpFlag.Fin) === 0) {
      this.#keepAlive(flow);
    }
    this.#acknowledgment(flow, ack, flags, length, tcpWindow(view, at), sequence);
    if ((c.events[flow] & Event.TapFinReceived) !== 0) {
      // Everything up to the FIN is in; more of it can only be a repetition.
      if (length > 0 || (flags & TcpFlag.Fin) !== 0) c.flags[flow] |= Flag.AckNow;
      return;
    }
    if (length > 0) this.#payload(flow, sequence, payloadAt, length);
    if ((flags & TcpFlag.Fin) !== 0) this.#fin(flow, seqAdd(sequence, length));
  }

  /** Has the container told, at the end of the batch, where the connection really is (RFC 5961 section 3.2). */
  challenge(flow: FlowIndex): void {
    this.#batch.touch(flow);
    this.#c.flags[flow] |= Flag.AckNow;
  }

  /** Ends the batch for one connection: bytes to the socket, FIN behind them, then the acknowledgement. */
  flush(flow: FlowIndex): void {
    if (!this.#flushPayload(flow)) return;
    if (!this.finishWriting(flow)) return;
    this.#toTap.pump(flow);
    if (this.#net.flows.closed[flow] === 0) this.#acknowledge(flow);
  }

  /** The host socket can take more. Returns false if the connection ended. */
  drain(flow: FlowIndex): boolean {
    if (this.#pending.bytes[flow] === 0) return true;
    const { host, socket } = this.#net;
    for (;;) {
      const parts = this.#pending.parts(flow);
      if (parts === 0) break;
      const sent = host.send(socket[flow], parts);
      if (sent === EAGAIN) break;
      if (sent < 0) return this.#lost(flow);
      this.#pending.consume(flow, sent);
    }
    if (!this.finishWriting(flow)) return false;
    if (this.#toTap.windowGrew(flow)) this.#toTap.ack(flow);
    return true;
  }

  /** Passes the container's FIN on once everything before it has gone. Returns false if the connection ended. */
  finishWriting(flow: FlowIndex): boolean {
    const c = this.#c;
    const events = c.events[flow];
    if ((events & Event.TapFinReceived) === 0 || (events & Event.SocketFinSent) !== 0) return true;
    if (this.#pending.bytes[flow] > 0) return true;
    if (this.#net.host.shutdownWrite(this.#net.socket[flow]) < 0) return this.#lost(flow);
    c.events[flow] = events | Event.SocketFinSent;
    this.#toTap.wake(flow, this.#net.host.nowMs + HALF_CLOSED_MS);
    return true;
  }

  #acknowledgment(
    flow: FlowIndex,
    ack: number,
    flags: number,
    length: number,
    field: number,
    sequence: number,
  ): void {
    const c = this.#c;
    const una = c.sndUna[flow];
    if (seqLt(ack, una)) return;
    const window = field << c.sndScale[flow];
    const repeats =
      ack === una &&
      length === 0 &&
      (flags & TcpFlag.Fin) === 0 &&
      window === c.sndWnd[flow] &&
      sequence === c.rcvNxt[flow];
    if (window > 0 && c.sndWnd[flow] === 0) this.#toTap.windowOpened(flow);
    c.sndWnd[flow] = window;
    if (window === 0 && c.retries[flow] > PROBE_RETRIES) c.retries[flow] = PROBE_RETRIES;
    if (ack !== una) return this.#toTap.acknowledged(flow, ack);
    if (repeats) this.#duplicate(flow);
  }

  /**
   * The same acknowledgement again: something we sent did not arrive. The TAP does not reorder, so the first
   * one is enough. What it leads to must not be taken for the next loss: neither before everything sent until
   * then is acknowledged, nor when it has just been, as the container repeats itself for what came twice.
   */
  #duplicate(flow: FlowIndex): void {
    const c = this.#c;
    if (c.sndUna[flow] === c.recover[flow]) return;
    const inFlight = seqDiff(c.sndNxt[flow], c.sndUna[flow]);
    const onlyFin = inFlight === 1 && (c.events[flow] & Event.TapFinSent) !== 0;
    if (inFlight <= 0 || onlyFin || (c.flags[flow] & Flag.Recovering) !== 0) return;
    this.#toTap.rewind(flow);
  }

  #payload(flow: FlowIndex, sequence: number, at: number, length: number): void {
    const c = this.#c;
    const skip = seqDiff(c.rcvNxt[flow], sequence);
    if (skip < 0) {
      // A hole: something before this was lost. Nothing is kept; repeated acknowledgements ask for it.
      c.holes[flow] = Math.min(c.holes[flow] + 1, LOSS_ACKS);
      return this.#answer(flow, Count.dropTcpOutOfOrder);
    }
    if (skip >= length) {
      c.flags[flow] |= Flag.AckNow;
      return;
    }
    const room = seqDiff(c.rcvAdvertised[flow], c.rcvNxt[flow]);
    const amount = Math.min(length - skip, room);
    if (amount < length - skip) this.#answer(flow, Count.dropTcpOutOfWindow);
    if (amount <= 0) return;
    this.#batch.append(flow, at + skip, amount);
    c.rcvNxt[flow] = seqAdd(c.rcvNxt[flow], amount);
  }

  /** A FIN counts only where everything before it has been accepted. */
  #fin(flow: FlowIndex, sequence: number): void {
    const c = this.#c;
    c.flags[flow] |= Flag.AckNow;
    if (sequence !== c.rcvNxt[flow]) return;
    c.rcvNxt[flow] = seqAdd(sequence, 1);
    c.events[flow] |= Event.TapFinReceived;
  }

  #keepAlive(flow: FlowIndex): void {
    const c = this.#c;
    c.flags[flow] |= Flag.AckNow;
    if ((c.flags[flow] & Flag.KeepAlive) !== 0) return;
    // The container wants to know whether its peer lives; only the host socket can find out.
    c.flags[flow] |= Flag.KeepAlive;
    this.#net.host.setKeepAlive(this.#net.socket[flow]);
  }

  #answer(flow: FlowIndex, counter: number): void {
    this.#net.counters.add(counter);
    this.#c.flags[flow] |= Flag.AckNow;
  }

  /** Hands the batch's payloads of a connection to its socket. Returns false if the connection ended. */
  #flushPayload(flow: FlowIndex): boolean {
    const batch = this.#batch;
    let entry = batch.first(flow);
    if (entry < 0) return true;
    let sent = 0;
    if (this.#pending.bytes[flow] === 0) {
      const { host, socket } = this.#net;
      let parts = 0;
      for (let e = entry; e >= 0; e = batch.next[e]!) host.part(parts++, batch.at[e], batch.length[e]);
      const result = host.send(socket[flow], parts);
      if (result < 0 && result !== EAGAIN) return this.#lost(flow);
      sent = Math.max(result, 0);
    }
    // What the socket did not take waits in the pool.
    for (; entry >= 0; entry = batch.next[entry]!) {
      const length = batch.length[entry];
      const taken = Math.min(sent, length);
      sent -= taken;
      const rest = length - taken;
      if (rest === 0) continue;
      const kept = this.#pending.append(flow, batch.at[entry] + taken, rest);
      if (kept < rest) {
        this.#giveUp(flow, entry, rest - kept);
        break;
      }
    }
    return true;
  }

  /** No room for the last `lost` bytes of `entry` and what follows: as if they had not come. */
  #giveUp(flow: FlowIndex, entry: number, lost: number): void {
    const c = this.#c;
    const batch = this.#batch;
    for (let e = batch.next[entry]; e >= 0; e = batch.next[e]!) lost += batch.length[e];
    if ((c.events[flow] & Event.TapFinReceived) !== 0) {
      c.events[flow] &= ~Event.TapFinReceived;
      lost++;
    }
    c.rcvNxt[flow] = seqAdd(c.rcvNxt[flow], -lost);
    this.#answer(flow, Count.dropTcpQueueFull);
  }

  #acknowledge(flow: FlowIndex): void {
    const c = this.#c;
    const flags = c.flags[flow];
    if ((flags & Flag.AckNow) !== 0) {
      // Each segment behind a hole is worth an acknowledgement (RFC 5681 section 4.2).
      for (let extra = c.holes[flow] - 1; extra > 0; extra--) this.#toTap.ack(flow);
      c.holes[flow] = 0;
      return this.#toTap.ack(flow);
    }
    const unacknowledged = seqDiff(c.rcvNxt[flow], c.ackSent[flow]);
    if (unacknowledged === 0) {
      if (this.#toTap.windowGrew(flow)) this.#toTap.ack(flow);
      return;
    }
    if ((flags & Flag.Interactive) === 0 || unacknowledged >= c.mss[flow]) {
      c.flags[flow] = flags & ~Flag.Interactive;
      return this.#toTap.ack(flow);
    }
    if (c.ackAt[flow] !== 0) return;
    c.ackAt[flow] = this.#net.host.nowMs + DELAYED_ACK_MS;
    this.#toTap.wake(flow, c.ackAt[flow]);
  }

  #lost(flow: FlowIndex): false {
    this.#reset(flow);
    return false;
  }
}

/** Tells whether a reset at `sequence` is to be believed: only where the next byte is expected (RFC 5961 3.2). */
export const resetIsExact = (c: Connections, flow: FlowIndex, sequence: number): boolean =>
  sequence === c.rcvNxt[flow];
/** Tells whether it is at least within the window, which deserves an answer. */
export const resetIsInWindow = (c: Connections, flow: FlowIndex, sequence: number): boolean =>
  seqGe(sequence, c.rcvNxt[flow]) && seqLt(sequence, c.rcvAdvertised[flow]);
