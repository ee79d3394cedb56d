/**
 * Segments to the container. Data stays in the host socket until the container has acknowledged it: it is
 * peeked at straight into the outgoing frame, and discarded afterwards. To send again is to move the peek
 * position back.
 */
import { Count } from "../../base/counters.ts";
import { isMapped, SideWord, type FlowIndex } from "../../flow/table.ts";
import { seqAdd, seqDiff, seqGt } from "../../wire/sequence.ts";
import { TcpFlag } from "../../wire/tcp.ts";
import { writeMss, writeWindowScale } from "../../wire/tcp-options.ts";
import { Errno } from "../linux.ts";
import type { Net } from "../net.ts";
import type { Output } from "../output.ts";
import { tapWords } from "../sides.ts";
import { type Connections, Event, Flag } from "./connections.ts";
import type { Pending } from "./pending.ts";
import { WINDOW_SHIFT } from "./syn.ts";

/** Bytes that one connection may move to the container in one turn, so that others get theirs. */
export const TURN_BYTES = 256 * 1024;
/** Bytes of one frame's payload: with 60 bytes of headers it fits an IP packet. */
const FRAME_PAYLOAD = 65_535 - 60;
/** Bytes of one connection that may wait for its host socket, and so the largest window shown. */
export const WINDOW_LIMIT = 1024 * 1024;
/** Milliseconds for which a limited container may send ahead: what it sends waits in front of all else it says. */
const AHEAD_MS = 100;
/** Time-outs that are waived while what a limited container says waits to be read. */
const PATIENCE = 3;
/** Where a limit allows less than a frame, it goes in smaller ones, of so many bytes at least. */
const LEAST_PAYLOAD = 536;
/** A window that keeps the container busy until its next acknowledgement. */
const SUFFICIENT_WINDOW = 16_384;
const MAX_WINDOW_FIELD = 65_535;
/** Bytes of the window that a SYN shows: it is never scaled (RFC 7323 section 2.2). */
export const SYN_WINDOW = MAX_WINDOW_FIELD;
/** First time-out of a segment to the container, which is on this machine; doubled for each retry. */
const RETRANSMIT_MS = 200;
const RETRANSMIT_MAX_MS = 120_000;
/** Retries before the connection is given up: more than 100 s in all (RFC 9293 section 3.8.3, R2). */
const MAX_RETRIES = 10;
/** The same for our SYN, as Linux has it (tcp(7), tcp_syn_retries): given up after 127 s. */
const SYN_RETRANSMIT_MS = 1_000;
const SYN_RETRIES = 6;
/** How long an acknowledgement may wait for data to ride on (RFC 9293 section 3.8.6.3 allows 500). */
export const DELAYED_ACK_MS = 10;
/**
 * Acknowledgements of at most so many bytes, so many of them, for at most so long, are gathered before the host
 * socket is told: in a dialogue that saves a call for each message. More would hold the socket's memory, and with it
 * the far side's window: a packet of which one byte is left counts whole.
 */
const SMALL_ACK_BYTES = 512;
const SMALL_ACKS = 8;
const DISCARD_DELAY_MS = 10;
const EAGAIN = -Errno.EAGAIN;

export class ToTap {
  readonly #net: Net;
  readonly #output: Output;
  readonly #c: Connections;
  readonly #pending: Pending;
  /** Ends a connection with a reset to both sides. */
  readonly #reset: (flow: FlowIndex) => void;
  /** The largest window to show. */
  readonly #windowLimit: number;

  constructor(
    net: Net,
    output: Output,
    connections: Connections,
    pending: Pending,
    reset: (flow: FlowIndex) => void,
  ) {
    this.#net = net;
    this.#output = output;
    this.#c = connections;
    this.#pending = pending;
    this.#reset = reset;
    const ahead = net.egress === undefined ? Infinity : net.egress.rate * AHEAD_MS;
    this.#windowLimit = Math.min(WINDOW_LIMIT, Math.max(ahead, MAX_WINDOW_FIELD));
  }

  /** Our SYN, or the SYN-ACK with which we answer the container's. */
  syn(flow: FlowIndex): void {
    const c = this.#c;
    const { link, flows, host } = this.#net;
    const v6 = !isMapped(flows.sides, tapWords(flows, flow) + SideWord.Ours);
    const scaled = c.rcvScale[flow] !== 0;
    const options = scaled ? 8 : 4;
    const at = this.#output.payloadAt - options;
    writeMss(host.arena.view, at, Math.min(link.mtu - (v6 ? 60 : 40), 65_535));
    if (scaled) writeWindowScale(host.arena.view, at + 4, WINDOW_SHIFT);
    const flags = this.#isOpening(flow) ? TcpFlag.Syn : TcpFlag.Syn | TcpFlag.Ack;
    c.rcvAdvertised[flow] = seqAdd(c.rcvNxt[flow], SYN_WINDOW);
    this.#send(flow, c.sndUna[flow], flags, SYN_WINDOW, options, 0);
    c.sndNxt[flow] = c.sndMax[flow] = seqAdd(c.sndUna[flow], 1);
    this.#armRetransmit(flow);
  }

  /** Acknowledges everything accepted and shows the current window. */
  ack(flow: FlowIndex): void {
    this.#segment(flow, this.#c.sndNxt[flow], TcpFlag.Ack, 0);
  }

  /**
   * Tells whether the container may be waiting for a window that has grown meanwhile (RFC 9293 section 3.8.6.2.2).
   * As long as it has one to go on with, the acknowledgement of what it sends will show the new one.
   */
  windowGrew(flow: FlowIndex): boolean {
    const c = this.#c;
    const shown = seqDiff(c.rcvAdvertised[flow], c.rcvNxt[flow]);
    if (shown >= Math.max(c.mss[flow], SUFFICIENT_WINDOW)) return false;
    return this.#freeSpace(flow) - shown >= Math.min(2 * c.mss[flow], WINDOW_LIMIT / 2);
  }

  /** A reset in answer to a segment that belongs to no connection, on the side at `words`. */
  resetUnknown(words: number, sequence: number, acknowledgment: number, flags: number): void {
    this.#net.counters.add(Count.tcpResetsSent);
    this.#output.tcp(words, sequence, acknowledgment, flags, 0, 0, 0, OUT_OF_BAND_MSS);
  }

  /**
   * Tells the container that the connection is no more. Every segment carries ACK, resets too, unless there is nothing
   * to acknowledge yet.
   */
  rst(flow: FlowIndex): void {
    this.#net.counters.add(Count.tcpResetsSent);
    const c = this.#c;
    if (this.#isOpening(flow)) return void this.#send(flow, c.sndNxt[flow], TcpFlag.Rst, 0, 0, 0);
    this.#send(flow, c.sndNxt[flow], TcpFlag.Rst | TcpFlag.Ack, 0, 0, 0);
    // While data is sent again, the container may have all of it, and believes no reset before its end.
    if (c.sndMax[flow] === c.sndNxt[flow]) return;
    this.#send(flow, c.sndMax[flow], TcpFlag.Rst | TcpFlag.Ack, 0, 0, 0);
  }

  /** A segment the container must answer if it still knows the connection (RFC 9293 section 3.8.4). */
  keepAlive(flow: FlowIndex): void {
    this.#segment(flow, seqAdd(this.#c.sndNxt[flow], -1), TcpFlag.Ack, 0);
  }

  /**
   * Moves what the host socket holds to the container, as far as the container's window and one turn allow.
   * Returns true when the turn ended before the socket or the window did.
   * @param budget bytes for this turn
   */
  pump(flow: FlowIndex, budget: number = this.#allowance()): boolean {
    const c = this.#c;
    const { host, link, ingress } = this.#net;
    while ((c.flags[flow] & Flag.Readable) !== 0) {
      if ((c.events[flow] & (Event.Established | Event.TapFinSent)) !== Event.Established) return false;
      const window = c.sndWnd[flow] - seqDiff(c.sndNxt[flow], c.sndUna[flow]);
      if (window <= 0) {
        // The container's next acknowledgement opens it; if that gets lost, a probe asks for it.
        if (c.retransmitAt[flow] === 0) this.#armRetransmit(flow);
        return false;
      }
      if (budget <= 0) return true;
      let wanted = Math.min(window, link.offload ? FRAME_PAYLOAD : c.mss[flow]);
      if (ingress !== undefined) wanted = Math.min(wanted, Math.max(budget, LEAST_PAYLOAD));
      const taken = host.peek(this.#net.socket[flow], this.#output.payloadAt, wanted);
      if (taken <= 0) return this.#endOfData(flow, taken);
      budget -= taken;
      const emptied = taken < wanted;
      // The socket is empty, and an edge will tell when it is not any more. An end of stream that was told
      // already is told no more: there only another peek sees it.
      if (emptied && (c.flags[flow] & Flag.Hangup) === 0) c.flags[flow] &= ~Flag.Readable;
      if (!this.#data(flow, emptied ? TcpFlag.Ack | TcpFlag.Psh : TcpFlag.Ack, taken)) return false;
    }
    return false;
  }

  /** What one turn may move. */
  #allowance(): number {
    const { ingress } = this.#net;
    return ingress === undefined ? TURN_BYTES : ingress.allowance(TURN_BYTES);
  }

  /** The container has acknowledged up to `ack`, which is new and not beyond `sndMax`. */
  acknowledged(flow: FlowIndex, ack: number): void {
    const c = this.#c;
    let bytes = seqDiff(ack, c.sndUna[flow]);
    if ((c.flags[flow] & Flag.FinKnown) !== 0 && seqGt(ack, c.finSequence[flow])) {
      bytes--;
      c.events[flow] |= Event.TapFinSent | Event.TapFinAcknowledged;
    }
    c.sndUna[flow] = ack;
    c.retries[flow] = 0;
    c.discardable[flow] += bytes;
    c.discardAcks[flow]++;
    if (seqGt(ack, c.sndNxt[flow])) {
      // Only acknowledgements had been lost: what was about to be sent again has long arrived.
      c.sndNxt[flow] = ack;
      this.#net.host.setPeekOffset(this.#net.socket[flow], c.discardable[flow]);
    }
    if ((c.flags[flow] & Flag.Recovering) !== 0 && !seqGt(c.recover[flow], ack)) {
      c.flags[flow] &= ~Flag.Recovering;
    }
    if (bytes > SMALL_ACK_BYTES || c.discardAcks[flow] >= SMALL_ACKS) this.discard(flow);
    else if (c.discardAcks[flow] === 1) this.wake(flow, this.#net.host.nowMs + DISCARD_DELAY_MS);
    if (ack === c.sndMax[flow]) c.retransmitAt[flow] = 0;
    else this.#armRetransmit(flow);
  }

  /** The container's window was closed and is not any more: what follows has a time-out of its own. */
  windowOpened(flow: FlowIndex): void {
    const c = this.#c;
    c.retries[flow] = 0;
    c.retransmitAt[flow] = 0;
    if (c.sndMax[flow] !== c.sndUna[flow]) this.#armRetransmit(flow);
  }

  /** Drops from the host socket what the container has acknowledged. */
  discard(flow: FlowIndex): void {
    const c = this.#c;
    c.discardAcks[flow] = 0;
    const bytes = c.discardable[flow];
    if (bytes === 0) return;
    const dropped = this.#net.host.discard(this.#net.socket[flow], bytes);
    if (dropped <= 0) return;
    c.discardable[flow] = bytes - dropped;
    // Before an urgent byte a discard stops, and on some kernels what is behind it could not be peeked at until now.
    if ((c.flags[flow] & Flag.Hangup) !== 0) c.flags[flow] |= Flag.Readable;
    if (dropped < bytes) this.discard(flow);
  }

  /** Sends again from the first byte not acknowledged. */
  rewind(flow: FlowIndex): void {
    const c = this.#c;
    this.#net.counters.add(Count.tcpRetransmits);
    c.recover[flow] = c.sndMax[flow]!;
    c.flags[flow] |= Flag.Recovering;
    this.#moveBack(flow);
  }

  #moveBack(flow: FlowIndex): void {
    const c = this.#c;
    c.sndNxt[flow] = c.sndUna[flow]!;
    c.flags[flow] |= Flag.Readable;
    c.events[flow] &= ~Event.TapFinSent;
    this.#net.host.setPeekOffset(this.#net.socket[flow], c.discardable[flow]);
  }

  /** A segment to the container got no acknowledgement in time, or its window stays closed. */
  retransmitTimeout(flow: FlowIndex): void {
    const c = this.#c;
    const mostRetries = this.#isOpening(flow) ? SYN_RETRIES : MAX_RETRIES;
    if (++c.retries[flow] > mostRetries) return this.#reset(flow);
    c.retransmitAt[flow] = 0;
    // What the container has said since may still wait for its turn to be read.
    if (this.#net.egress?.isIdle === false && c.retries[flow] <= PATIENCE) return this.#armRetransmit(flow);
    if ((c.events[flow] & (Event.SynAckSent | Event.SynSent)) !== 0) {
      this.#net.counters.add(Count.tcpRetransmits);
      return this.syn(flow);
    }
    if (c.sndWnd[flow] === 0) return this.#probeWindow(flow);
    this.rewind(flow);
    this.pump(flow);
    if (this.#net.flows.closed[flow] === 0) this.#armRetransmit(flow);
  }

  /**
   * Asks for a closed window with one byte or our FIN, which stays the next to send: a container that does not
   * take it has thrown it away.
   */
  #probeWindow(flow: FlowIndex): void {
    const c = this.#c;
    this.#moveBack(flow);
    const taken = this.#net.host.peek(this.#net.socket[flow], this.#output.payloadAt, 1);
    if (taken === 1) this.#data(flow, TcpFlag.Ack, 1);
    else this.#endOfData(flow, taken);
    if (this.#net.flows.closed[flow] === 1) return;
    if (taken === EAGAIN) {
      // Nothing to ask for.
      c.retries[flow] = 0;
      return;
    }
    this.#moveBack(flow);
    this.#armRetransmit(flow);
  }

  /** Sends `length` peeked bytes; tells whether they went out. */
  #data(flow: FlowIndex, flags: number, length: number): boolean {
    const c = this.#c;
    if (this.#segment(flow, c.sndNxt[flow], flags, length) < 0) {
      this.#net.host.setPeekOffset(
        this.#net.socket[flow],
        c.discardable[flow] + seqDiff(c.sndNxt[flow], c.sndUna[flow]),
      );
      // Trying again at once would only keep us busy.
      c.flags[flow] &= ~Flag.Readable;
      this.#armRetransmit(flow);
      return false;
    }
    c.flags[flow] |= Flag.Interactive;
    this.#advance(flow, length);
    return true;
  }

  /** A peek gave no data: nothing there now, an error, or the end of the stream, which becomes our FIN. */
  #endOfData(flow: FlowIndex, result: number): boolean {
    const c = this.#c;
    c.flags[flow] &= ~Flag.Readable;
    const isReset = (c.flags[flow] & Flag.Reset) !== 0;
    if (result === EAGAIN && !isReset) return false;
    if (result < 0 || isReset) {
      this.#reset(flow);
      return false;
    }
    c.events[flow] |= Event.SocketFinReceived;
    c.flags[flow] |= Flag.FinKnown;
    c.finSequence[flow] = c.sndNxt[flow]!;
    if (this.#segment(flow, c.sndNxt[flow], TcpFlag.Fin | TcpFlag.Ack, 0) >= 0) {
      c.events[flow] |= Event.TapFinSent;
    }
    this.#advance(flow, 1);
    return false;
  }

  #advance(flow: FlowIndex, amount: number): void {
    const c = this.#c;
    const next = seqAdd(c.sndNxt[flow], amount);
    c.sndNxt[flow] = next;
    if (seqGt(next, c.sndMax[flow])) c.sndMax[flow] = next;
    c.activeAt[flow] = this.#net.host.nowMs;
    if (c.retransmitAt[flow] === 0) this.#armRetransmit(flow);
  }

  /** Sends a segment that acknowledges everything accepted, with `length` bytes that stand at `payloadAt`. */
  #segment(flow: FlowIndex, sequence: number, flags: number, length: number): number {
    const c = this.#c;
    const rcvNxt = c.rcvNxt[flow];
    const shown = seqDiff(c.rcvAdvertised[flow], rcvNxt);
    const scale = c.rcvScale[flow];
    // Rounded up, so that the right edge does not move back by the bits that the shift drops.
    const window = (Math.max(this.#freeSpace(flow), shown, 0) + (1 << scale) - 1) >>> scale;
    const field = Math.min(window, MAX_WINDOW_FIELD);
    const sent = this.#send(flow, sequence, flags, field, 0, length);
    if (sent < 0) return sent;
    const edge = seqAdd(rcvNxt, field << scale);
    if (seqGt(edge, c.rcvAdvertised[flow])) c.rcvAdvertised[flow] = edge;
    c.ackSent[flow] = rcvNxt;
    c.ackAt[flow] = 0;
    c.flags[flow] &= ~Flag.AckNow;
    return sent;
  }

  #send(
    flow: FlowIndex,
    sequence: number,
    flags: number,
    window: number,
    options: number,
    length: number,
  ): number {
    const c = this.#c;
    const words = tapWords(this.#net.flows, flow);
    return this.#output.tcp(words, sequence, c.rcvNxt[flow], flags, window, options, length, c.mss[flow]);
  }

  /**
   * Bytes the container may send: what this connection may keep waiting, less as the pool fills up. One whose socket
   * takes everything goes on even when others have filled the pool.
   */
  #freeSpace(flow: FlowIndex): number {
    const limit = Math.min(this.#windowLimit, MAX_WINDOW_FIELD << this.#c.rcvScale[flow]);
    const share = Math.min(limit, this.#pending.available >>> 2);
    const kept = this.#pending.bytes[flow];
    return kept === 0 ? Math.max(share, SUFFICIENT_WINDOW) : Math.max(share - kept, 0);
  }

  /** Whether our SYN to the container is out, and nothing of it is known yet. */
  #isOpening(flow: FlowIndex): boolean {
    return (this.#c.events[flow] & Event.SynSent) !== 0;
  }

  #armRetransmit(flow: FlowIndex): void {
    const c = this.#c;
    const first = this.#isOpening(flow) ? SYN_RETRANSMIT_MS : RETRANSMIT_MS;
    const delay = Math.min(first * 2 ** c.retries[flow], RETRANSMIT_MAX_MS);
    c.retransmitAt[flow] = this.#net.host.nowMs + delay;
    this.wake(flow, c.retransmitAt[flow]);
  }

  /** Makes sure that the connection's timer runs at `whenMs` or before. */
  wake(flow: FlowIndex, whenMs: number): void {
    const { timers } = this.#net;
    if (!timers.isArmed(flow) || timers.deadline(flow) > whenMs) timers.arm(flow, whenMs);
  }
}

/** Any size: segments without payload are never cut. */
const OUT_OF_BAND_MSS = 65_535;
