/** Datagrams to the container, received from the sockets of UDP flows in turns. */
import { isIpv4 } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { FlowState, FlowType } from "../flow/state.ts";
import { SideWord, type FlowIndex } from "../flow/table.ts";
import { IPV4_LENGTH } from "../wire/ipv4.ts";
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

  /** Gives every flow in the ring a turn. Tells whether some have more to give. */
  service(): boolean {
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
    return this.#count > 0;
  }

  /** Receives within the budget of one turn. Tells whether there may be more. */
  #receive(flow: FlowIndex): boolean {
    const { host, socket } = this.#net;
    let bytes = 0;
    for (let calls = 0; calls < TURN_CALLS && bytes < TURN_BYTES; calls++) {
      const length = host.receive(socket[flow], this.#output.payloadAt, OUT_PAYLOAD);
      if (length === -Errno.EAGAIN) return false;
      if (length < 0) {
        // The error of a datagram sent before; what was received is still there.
        this.#errors.drain(flow, 0, 0);
        continue;
      }
      this.#noteReceived(flow);
      this.#deliver(tapWords(this.#net.flows, flow), length, host.receivedSegment);
      bytes += length;
    }
    return true;
  }

  #noteReceived(flow: FlowIndex): void {
    const { host, timers } = this.#net;
    const first = this.#flows.received[flow] === 0;
    this.#flows.noteReceived(flow, host.nowMs);
    // The only time that the answer makes a flow end sooner.
    if (first && this.#flows.resolver[flow] !== 0) timers.arm(flow, this.#flows.deadline(flow));
  }

  /** Sends what is at `payloadAt` to the container, as one frame if that can carry it. */
  #deliver(words: number, length: number, segment: number): void {
    const { counters, flows, host, link } = this.#net;
    const v4 = isIpv4(flows.sides, words + SideWord.Ours);
    const most = v4 ? FRAME_PAYLOAD_4 : FRAME_PAYLOAD_6;
    if (segment === 0 || length <= segment) {
      if (length > most) return counters.add(Count.dropReceivedTooLong);
      this.#output.udp(words, length, 0);
      return;
    }
    if (link.offload && link.udpOffload && length <= most) {
      this.#output.udp(words, length, segment);
      return;
    }
    const at = this.#output.payloadAt;
    for (let sent = 0; sent < length; sent += segment) {
      const piece = Math.min(segment, length - sent);
      // Only ever over what has been sent.
      if (sent > 0) host.arena.bytes.copyWithin(at, at + sent, at + sent + piece);
      this.#output.udp(words, piece, 0);
    }
  }
}
