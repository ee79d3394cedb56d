/** Datagrams to the container, received from the sockets of UDP flows in turns. */
import { isIpv4 } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { FlowState, FlowType } from "../flow/state.ts";
import { SideWord, type FlowIndex } from "../flow/table.ts";
import { MINIMUM_FRAME } from "../wire/ethernet.ts";
import { IPV4_LENGTH } from "../wire/ipv4.ts";
import { IPV6_LENGTH } from "../wire/ipv6.ts";
import { UDP_LENGTH } from "../wire/udp.ts";
import { Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import { OUT_PAYLOAD } from "./net.ts";
import type { Output } from "./output.ts";
import { tapWords } from "./sides.ts";
import type { UdpErrors } from "./udp-errors.ts";
import type { UdpFlows } from "./udp-flows.ts";

/** What one flow may receive in one turn, so that others get theirs. */
const TURN_CALLS = 64;
const TURN_BYTES = 256 * 1024;
/** Datagrams in a train to the container at most, as in one to the host. */
const TRAIN_DATAGRAMS = 64;
/** Payload of one frame at most: the length of an IPv4 packet includes its header, that of an IPv6 packet does not. */
const FRAME_PAYLOAD_4 = 65_535 - IPV4_LENGTH - UDP_LENGTH;
const FRAME_PAYLOAD_6 = 65_535 - UDP_LENGTH;

export class UdpReceiver {
  /** Where received bytes that nobody wants may go. */
  readonly scratchAt: number;
  readonly #net: Net;
  readonly #output: Output;
  readonly #flows: UdpFlows;
  readonly #errors: UdpErrors;
  /** A ring of the flows that may be readable. */
  readonly #ring: Int32Array;
  #first = 0;
  #count = 0;
  /** 1 for flows in the ring; stays set until the ring is visited, whatever becomes of the flow. */
  readonly #inRing: Uint8Array;

  constructor(net: Net, output: Output, flows: UdpFlows, errors: UdpErrors) {
    this.#net = net;
    this.#output = output;
    this.#flows = flows;
    this.#errors = errors;
    this.scratchAt = output.payloadAt;
    this.#ring = new Int32Array(net.flows.capacity);
    this.#inRing = new Uint8Array(net.flows.capacity);
  }

  /** Notes that the flow's socket may have datagrams. */
  ready(flow: FlowIndex): void {
    if (this.#inRing[flow] === 1) return;
    this.#inRing[flow] = 1;
    this.#ring[(this.#first + this.#count) % this.#ring.length] = flow;
    this.#count++;
  }

  /** Gives every flow in the ring a turn. */
  service(): void {
    const { flows } = this.#net;
    for (let left = this.#count; left > 0; left--) {
      const flow = this.#ring[this.#first];
      this.#first = (this.#first + 1) % this.#ring.length;
      this.#count--;
      this.#inRing[flow] = 0;
      // The row may have become that of another flow since.
      const isOurs = flows.state[flow] === FlowState.Active && flows.type[flow] === FlowType.Udp;
      if (isOurs && flows.closed[flow] === 0 && this.#receive(flow)) this.ready(flow);
    }
  }

  get isBusy(): boolean {
    return this.#count > 0;
  }

  /**
   * Receives within the budget of one turn. Tells whether there may be more. Datagrams of one size that come one by
   * one are held and go on as a train too: a frame to the container costs more than a datagram from the host.
   */
  #receive(flow: FlowIndex): boolean {
    const { host, socket, flows } = this.#net;
    const words = tapWords(flows, flow);
    const most = isIpv4(flows.sides, words + SideWord.Ours) ? FRAME_PAYLOAD_4 : FRAME_PAYLOAD_6;
    const at = this.#output.payloadAt;
    let held = 0;
    let segment = 0;
    let bytes = 0;
    for (let calls = 0; calls < TURN_CALLS && bytes < TURN_BYTES; calls++) {
      const length = host.receive(socket[flow], at + held, OUT_PAYLOAD);
      const each = length > 0 && host.receivedSegment > 0 ? host.receivedSegment : length;
      if (held > 0 && !(joins(length, each, segment) && held + length <= most)) {
        this.#deliver(words, held, segment, most);
        if (length > 0) host.arena.bytes.copyWithin(at, at + held, at + held + length);
        held = 0;
      }
      if (length === -Errno.EAGAIN) return false;
      if (length < 0) {
        // The error of a datagram sent before; what was received is still there.
        this.#errors.drain(flow, 0, 0);
        continue;
      }
      this.#noteReceived(flow);
      bytes += length;
      if (held === 0) segment = each;
      held += length;
      if (this.#mayGrow(held, segment, most)) continue;
      this.#deliver(words, held, segment, most);
      held = 0;
    }
    if (held > 0) this.#deliver(words, held, segment, most);
    return true;
  }

  /** Tells whether more datagrams may join those held; not to short frames, whose padding would cover them. */
  #mayGrow(held: number, segment: number, most: number): boolean {
    const { link } = this.#net;
    return (
      link.offload &&
      link.udpOffload &&
      segment >= MINIMUM_FRAME &&
      segment <= link.mtu - IPV6_LENGTH - UDP_LENGTH &&
      held % segment === 0 &&
      held < segment * TRAIN_DATAGRAMS &&
      held + segment <= most
    );
  }

  #noteReceived(flow: FlowIndex): void {
    const { host, timers } = this.#net;
    const first = this.#flows.received[flow] === 0;
    this.#flows.noteReceived(flow, host.nowMs);
    // The only time that the answer makes a flow end sooner.
    if (first && this.#flows.resolver[flow] !== 0) timers.arm(flow, this.#flows.deadline(flow));
  }

  /** Sends `length` bytes at `payloadAt` to the container, as one frame if that can carry them. */
  #deliver(words: number, length: number, segment: number, most: number): void {
    const { counters, link } = this.#net;
    if (length <= segment) {
      if (length > most) return counters.add(Count.dropReceivedTooLong);
      this.#output.udp(words, length, 0);
      return;
    }
    if (link.offload && link.udpOffload && length <= most) {
      this.#output.udp(words, length, segment);
      return;
    }
    this.#cut(length, segment, words);
  }

  /** Sends what is at `payloadAt` as datagrams of `segment` bytes, the last may be shorter. */
  #cut(length: number, segment: number, words: number): void {
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

/**
 * Tells whether `length` bytes received as datagrams of `each` may follow datagrams of `segment` in a train, whose
 * last only may be shorter.
 */
const joins = (length: number, each: number, segment: number): boolean =>
  length > 0 && (each === segment || (length === each && length < segment));
