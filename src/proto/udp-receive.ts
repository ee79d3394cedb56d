/** Datagrams that arrive at sockets, received in turns: to the container, or to the socket on a flow's other side. */
import { isIpv4 } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { FlowQueue } from "../flow/queue.ts";
import { FlowState, FlowType, Pif } from "../flow/state.ts";
import {
  NO_FLOW,
  oursPort,
  packKind,
  sidePif,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
  type SideIndex,
} from "../flow/table.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { MINIMUM_FRAME } from "../wire/ethernet.ts";
import { IPV4_LENGTH, IpProtocol } from "../wire/ipv4.ts";
import { IPV6_LENGTH } from "../wire/ipv6.ts";
import { UDP_LENGTH } from "../wire/udp.ts";
import { Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import { OUT_PAYLOAD } from "./net.ts";
import type { Output } from "./output.ts";
import type { UdpErrors } from "./udp-errors.ts";
import { NO_SLOT, type UdpFlows } from "./udp-flows.ts";
import { NOT_YET, type UdpOpener } from "./udp-open.ts";
import type { Questions } from "./udp-questions.ts";
import type { UdpSender } from "./udp-send.ts";

/** What one socket may receive in one turn, so that others get theirs. */
const TURN_CALLS = 64;
const TURN_BYTES = 256 * 1024;
/** Errors in one turn after which a socket has to wait for its next event: none shall keep us busy for nothing. */
const TURN_FAILURES = 16;
/** Datagrams in a train at most (UDP_MAX_SEGMENTS of older kernels, linux/udp.h). */
const TRAIN_DATAGRAMS = 64;
/** Payload of one packet at most: the length of an IPv4 packet includes its header, that of an IPv6 packet does not. */
const PAYLOAD_4 = 65_535 - IPV4_LENGTH - UDP_LENGTH;
const PAYLOAD_6 = 65_535 - UDP_LENGTH;

/** What the receiver works with. */
export interface UdpParts {
  readonly flows: UdpFlows;
  readonly errors: UdpErrors;
  readonly sender: UdpSender;
  readonly opener: UdpOpener;
  readonly questions: Questions;
}

/** A datagram or a train from a client that has no flow yet. */
interface Waiting {
  /** The client's side. */
  readonly key: Uint32Array;
  readonly bytes: Uint8Array;
  readonly segment: number;
}

export class UdpReceiver {
  readonly #net: Net;
  readonly #output: Output;
  readonly #parts: UdpParts;
  /** Flows and listeners that may be readable. */
  readonly #flows: FlowQueue;
  readonly #listeners = new FlowQueue(0);
  /** What waits for sockets in the container's network namespace, by listener: those receive nothing meanwhile. */
  readonly #waiting = new Map<ListenerSlot, Waiting>();
  /** What was received and not yet sent on, at `output.payloadAt`: bytes, size of each datagram, and for which side. */
  #held = 0;
  #segment = 0;
  #to: SideIndex = NO_FLOW;
  /** How many of those that may be readable have to wait until more may go to the container. */
  #heldBack = 0;

  constructor(net: Net, output: Output, parts: UdpParts) {
    this.#net = net;
    this.#output = output;
    this.#parts = parts;
    this.#flows = new FlowQueue(net.flows.capacity);
  }

  /** Notes that the socket of the flow's target may have datagrams. */
  ready(flow: FlowIndex): void {
    this.#flows.add(flow);
  }

  /** Notes that a listener may have datagrams. */
  listenerReady(slot: ListenerSlot): void {
    this.#listeners.add(slot);
  }

  /** Gives every socket that may be readable a turn. */
  service(): void {
    const { flows, listeners } = this.#net;
    this.#heldBack = 0;
    for (let left = this.#flows.length; left > 0; left--) {
      const flow = this.#flows.take();
      // The row may have become that of another flow since.
      const isOurs = flows.state[flow] === FlowState.Active && flows.type[flow] === FlowType.Udp;
      if (isOurs && this.#turn(flow, NO_SLOT)) this.ready(flow);
    }
    for (let left = this.#listeners.length; left > 0; left--) {
      const slot = this.#listeners.take();
      // So may the slot.
      const isOurs = listeners.protocol(slot) === IpProtocol.Udp && !this.#waiting.has(slot);
      if (isOurs && this.#turn(NO_FLOW, slot)) this.listenerReady(slot);
    }
  }

  /** There are sockets in the container's network namespace again. */
  insideReady(): void {
    const { flows, host, listeners } = this.#net;
    for (const [slot, { key, bytes, segment }] of this.#waiting) {
      this.#waiting.delete(slot);
      // The listener may have gone, and its slot may be that of another one.
      if (listeners.protocol(slot) !== IpProtocol.Udp || listeners.port(slot) !== oursPort(key, 0)) continue;
      flows.key.set(key);
      host.arena.bytes.set(bytes, this.#output.payloadAt);
      if (!this.#arrived(slot, bytes.length, segment)) return;
      this.#flush();
      this.listenerReady(slot);
    }
  }

  get isBusy(): boolean {
    return this.#flows.length + this.#listeners.length > this.#heldBack;
  }

  /**
   * Receives from a flow's target, or at a listener, within the budget of one turn. Tells whether there may be more.
   * Datagrams of one size that come one by one are held and go on as a train too: one call for each costs more.
   */
  #turn(flow: FlowIndex, slot: ListenerSlot): boolean {
    const { host } = this.#net;
    const { errors } = this.#parts;
    const most = this.#allowance(flow, slot);
    if (most === 0) this.#heldBack++;
    let bytes = 0;
    let failures = 0;
    for (let calls = 0; calls < TURN_CALLS && bytes < most; calls++) {
      const length = this.#receive(flow, slot);
      if (length >= 0) {
        bytes += length;
        const segment = length > 0 ? host.receivedSegment : 0;
        if (slot === NO_SLOT) this.#take((flow << 1) | TARGET, length, segment);
        else if (!this.#arrived(slot, length, segment)) return false;
        continue;
      }
      this.#flush();
      if (length === -Errno.EAGAIN || ++failures === TURN_FAILURES) return false;
      // The error of a datagram sent before; what was received is still there.
      if (slot === NO_SLOT) errors.drain((flow << 1) | TARGET, 0, 0);
      else errors.drainListener(slot);
    }
    this.#flush();
    return true;
  }

  /**
   * Bytes that one turn may receive. What bypasses the TAP has no limit; at a listener for the host's clients it cannot
   * be told from the rest before it is received.
   */
  #allowance(flow: FlowIndex, slot: ListenerSlot): number {
    const { flows, ingress, listeners } = this.#net;
    if (ingress === undefined) return TURN_BYTES;
    const toTap =
      slot === NO_SLOT
        ? sidePif(flows.sides, wordsOf(flow << 1)) === Pif.Tap
        : listeners.pif(slot) === Pif.Host;
    return toTap ? ingress.allowance(TURN_BYTES) : TURN_BYTES;
  }

  /** Receives behind what is held: bytes or -errno. */
  #receive(flow: FlowIndex, slot: ListenerSlot): number {
    const { host, listeners, socket } = this.#net;
    const at = this.#output.payloadAt + this.#held;
    const fd = slot === NO_SLOT ? socket[flow] : listeners.fd(slot);
    // What was sent on may have been the end of the flow, and that the end of its listener.
    if (fd < 0) return -Errno.EAGAIN;
    return slot === NO_SLOT ? host.receive(fd, at, OUT_PAYLOAD) : host.receiveFrom(fd, at, OUT_PAYLOAD);
  }

  /**
   * Takes what a listener received from the client whose side is in `flows.key`, but for its kind. False when it has to
   * wait, and with it what is behind.
   */
  #arrived(slot: ListenerSlot, length: number, segment: number): boolean {
    const { flows, host, listeners } = this.#net;
    flows.key[SideWord.Kind] = packKind(IpProtocol.Udp, listeners.pif(slot));
    let from = flows.lookup();
    if (from < 0) {
      const flow = this.#parts.opener.inbound(slot);
      if (flow === NOT_YET) {
        const at = this.#output.payloadAt + this.#held;
        this.#waiting.set(slot, {
          key: flows.key.slice(),
          bytes: host.arena.bytes.slice(at, at + length),
          segment,
        });
        this.#flush();
        return false;
      }
      if (flow === NO_FLOW) return true;
      from = flow << 1;
    }
    this.#take(from, length, segment);
    return true;
  }

  /** Takes `length` bytes behind those that are held, from a side; they wait for more or are sent on. */
  #take(from: SideIndex, length: number, segment: number): void {
    const to = from ^ 1;
    const each = segment > 0 ? segment : length;
    const isAnswer = (from & 1) === TARGET && this.#parts.flows.isDns[from >> 1] !== 0;
    if (isAnswer && this.#answered(from >> 1, length, each)) return;
    if (this.#held > 0 && !(to === this.#to && this.#joins(length, each))) {
      const at = this.#output.payloadAt;
      const held = this.#held;
      this.#deliver();
      this.#net.host.arena.bytes.copyWithin(at, at + held, at + held + length);
    }
    this.#parts.flows.note(from);
    if (this.#held === 0) this.#segment = each;
    this.#to = to;
    this.#held += length;
    if (!this.#mayGrow()) this.#deliver();
  }

  /** Notes answers of a resolver, behind what is held. True when there will be a better one. */
  #answered(flow: FlowIndex, length: number, each: number): boolean {
    const { questions } = this.#parts;
    const at = this.#output.payloadAt + this.#held;
    if (length <= each) return questions.answered(flow, at, length, true);
    for (let i = 0; i < length; i += each)
      questions.answered(flow, at + i, Math.min(each, length - i), false);
    return false;
  }

  /** Tells whether `length` bytes received as datagrams of `each` may follow what is held: the last may be shorter. */
  #joins(length: number, each: number): boolean {
    const segment = this.#segment;
    return (
      length > 0 &&
      (each === segment || (length === each && length < segment)) &&
      this.#held + length <= this.#most()
    );
  }

  /** Tells whether more datagrams may join those held. */
  #mayGrow(): boolean {
    const held = this.#held;
    const segment = this.#segment;
    return (
      segment > 0 &&
      held % segment === 0 &&
      held < segment * TRAIN_DATAGRAMS &&
      held + segment <= this.#most() &&
      (this.#isToTap() ? this.#fitsLink(segment) : this.#parts.flows.noTrains[this.#to >> 1] === 0)
    );
  }

  /** Tells whether datagrams of that size may be a train to the container; padding of short ones would cover others. */
  #fitsLink(segment: number): boolean {
    const { link } = this.#net;
    const fits = segment >= MINIMUM_FRAME && segment <= link.mtu - IPV6_LENGTH - UDP_LENGTH;
    return link.offload && link.udpOffload && fits;
  }

  /** Payload that goes on in one packet at most. */
  #most(): number {
    return isIpv4(this.#net.flows.sides, wordsOf(this.#to) + SideWord.Ours) ? PAYLOAD_4 : PAYLOAD_6;
  }

  #isToTap(): boolean {
    return sidePif(this.#net.flows.sides, wordsOf(this.#to)) === Pif.Tap;
  }

  #flush(): void {
    if (this.#held > 0) this.#deliver();
  }

  /** Sends on what is held, which may be an empty datagram. */
  #deliver(): void {
    const { counters, link } = this.#net;
    const { payloadAt } = this.#output;
    const length = this.#held;
    const segment = this.#segment;
    const words = wordsOf(this.#to);
    this.#held = 0;
    if (!this.#isToTap()) return this.#parts.sender.send(this.#to, payloadAt, length, segment);
    const fits = length <= this.#most();
    if (length <= segment) {
      if (fits) this.#output.udp(words, length, 0);
      else counters.add(Count.dropReceivedTooLong);
    } else if (link.offload && link.udpOffload && fits) this.#output.udp(words, length, segment);
    else this.#cut(words, length, segment);
  }

  /** Sends what is at `payloadAt` to the container as datagrams of `segment` bytes, the last may be shorter. */
  #cut(words: number, length: number, segment: number): void {
    const { bytes } = this.#net.host.arena;
    const at = this.#output.payloadAt;
    let from = at;
    if (segment < MINIMUM_FRAME) {
      // Short frames are padded over what comes behind them.
      from = at + OUT_PAYLOAD;
      bytes.copyWithin(from, at, at + length);
    }
    for (let sent = 0; sent < length; sent += segment) {
      const piece = Math.min(segment, length - sent);
      // Over what has been sent, or else not at all.
      bytes.copyWithin(at, from + sent, from + sent + piece);
      this.#output.udp(words, piece, 0);
    }
  }
}
