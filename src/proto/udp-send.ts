/**
 * Datagrams out of sockets. Those of one flow that follow each other and have one size leave together as a train;
 * only the last of a train may be shorter, and none is empty.
 */
import { Count } from "../base/counters.ts";
import { isIpv4 } from "../base/address.ts";
import { SideWord, type FlowIndex, type SideIndex } from "../flow/table.ts";
import { DontFragment, NO_SLOT, type UdpFlows } from "./udp-flows.ts";
import { Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import { hostWords } from "./sides.ts";
import { Drained, type UdpErrors } from "./udp-errors.ts";

/** Datagrams in a train at most (UDP_MAX_SEGMENTS of older kernels, linux/udp.h). */
const TRAIN_DATAGRAMS = 64;
/** Payload of a train at most: what one IPv4 packet could carry. */
const TRAIN_BYTES = 65_507;

export class UdpSender {
  readonly #net: Net;
  readonly #flows: UdpFlows;
  readonly #errors: UdpErrors;
  /** The train being put together: payloads by arena offset and length. */
  readonly #at = new Uint32Array(TRAIN_DATAGRAMS);
  readonly #length = new Uint32Array(TRAIN_DATAGRAMS);
  #count = 0;
  #bytes = 0;

  constructor(net: Net, flows: UdpFlows, errors: UdpErrors) {
    this.#net = net;
    this.#flows = flows;
    this.#errors = errors;
  }

  /** Sets on the flow's socket what its datagrams had; the caller has sent those that had something else. */
  setOptions(flow: FlowIndex, hopLimit: number, dontFragment: number): void {
    const { host, flows, socket } = this.#net;
    const columns = this.#flows;
    const v6 = !isIpv4(flows.sides, hostWords(flows, flow) + SideWord.Endpoint);
    if (columns.hopLimit[flow] !== hopLimit) {
      columns.hopLimit[flow] = hopLimit;
      host.setHopLimit(socket[flow], v6, hopLimit);
    }
    if (columns.dontFragment[flow] !== dontFragment) {
      columns.dontFragment[flow] = dontFragment;
      host.setDontFragment(socket[flow], v6, dontFragment === DontFragment.On);
    }
  }

  /** Sends `length` bytes as datagrams of `segment` bytes, the last may be shorter; as one when `segment` is 0. */
  send(side: SideIndex, at: number, length: number, segment: number): void {
    const each = segment > 0 ? segment : length;
    let sent = 0;
    do {
      const piece = Math.min(each, length - sent);
      this.add(side, at + sent, piece);
      sent += piece;
    } while (sent < length);
    this.end(side);
  }

  /** Adds a datagram for a side of a flow; all those added leave by `end` at the latest, in order. */
  add(side: SideIndex, at: number, length: number): void {
    const count = this.#count;
    if (count > 0 && !this.#joins(side, length)) {
      this.end(side);
      return this.add(side, at, length);
    }
    this.#at[count] = at;
    this.#length[count] = length;
    this.#count = count + 1;
    this.#bytes += length;
  }

  /** Sends what was added. */
  end(side: SideIndex): void {
    const count = this.#count;
    if (count > 1) this.#sendTrain(side, count);
    else if (count === 1) this.#sendOne(side, 0);
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Tells whether a datagram of this length may follow those added. */
  #joins(side: SideIndex, length: number): boolean {
    const count = this.#count;
    const segment = this.#length[0];
    return (
      count < TRAIN_DATAGRAMS &&
      this.#length[count - 1] === segment &&
      length <= segment &&
      length > 0 &&
      this.#bytes + length <= TRAIN_BYTES &&
      this.#flows.noTrains[side >> 1] === 0
    );
  }

  #sendTrain(side: SideIndex, count: number): void {
    const { counters } = this.#net;
    const segment = this.#length[0];
    let result = this.#transmit(side, this.#setParts(count), segment);
    if (result < 0 && !isAboutTrain(result) && !isFull(result)) {
      // It may be the error of an earlier datagram; that must not cost these.
      this.#errors.drain(side, 0, 0);
      result = this.#transmit(side, this.#setParts(count), segment);
    }
    if (result >= 0) return;
    if (isFull(result)) return counters.add(Count.dropUdpSend, count);
    let sent = 0;
    for (let i = 0; i < count; i++) {
      if (this.#sendOne(side, i)) sent++;
      // There is no way at all; one error says it for all of them.
      else if (!isAboutTrain(result)) return counters.add(Count.dropUdpSend, count - i - 1);
    }
    // Datagrams that are no trouble alone are no better in the next train.
    if (sent === count && result !== -Errno.EMSGSIZE) this.#flows.noTrains[side >> 1] = 1;
  }

  /** Parts for the first `count` datagrams, those that lie behind each other as one; returns how many. */
  #setParts(count: number): number {
    let parts = 0;
    let start = this.#at[0];
    let end = start + this.#length[0];
    for (let i = 1; i < count; i++) {
      if (this.#at[i] !== end) {
        this.#net.host.part(parts++, start, end - start);
        start = this.#at[i];
        end = start;
      }
      end += this.#length[i];
    }
    this.#net.host.part(parts++, start, end - start);
    return parts;
  }

  /** Sends one of the datagrams added. Tells whether it left. */
  #sendOne(side: SideIndex, index: number): boolean {
    const { counters } = this.#net;
    const at = this.#at[index];
    const length = this.#length[index];
    let result = this.#sendAlone(side, at, length);
    if (result >= 0) return true;
    if (!isFull(result)) {
      // As above.
      const drained = this.#errors.drain(side, at, length);
      const itself = result === -Errno.EMSGSIZE && (drained & Drained.TooBig) !== 0;
      if (!itself) {
        result = this.#sendAlone(side, at, length);
        if (result >= 0) return true;
        if (!isFull(result) && this.#errors.drain(side, at, length) === 0) {
          this.#errors.refused(side >> 1, -result, at, length);
        }
      }
    }
    counters.add(Count.dropUdpSend);
    return false;
  }

  #sendAlone(side: SideIndex, at: number, length: number): number {
    if (length === 0) return this.#transmit(side, 0, 0);
    this.#net.host.part(0, at, length);
    return this.#transmit(side, 1, 0);
  }

  /** Sends parts to a side, with its own socket or with its listener. */
  #transmit(side: SideIndex, parts: number, segment: number): number {
    const { flows, host, listeners, socket } = this.#net;
    const flow = side >> 1;
    // An error before may have been its end.
    if (flows.closed[flow] === 1) return -Errno.ENOBUFS;
    const slot = this.#flows.listenerOf(side);
    if (slot !== NO_SLOT) return host.sendFrom(listeners.fd(slot), parts, segment, side);
    return segment > 0 ? host.sendTrain(socket[flow], parts, segment) : host.send(socket[flow], parts);
  }
}

/** No room now: the datagram is lost, as on any full line. */
const isFull = (result: number): boolean =>
  result === -Errno.EAGAIN || result === -Errno.ENOBUFS || result === -Errno.ENOMEM;

/** The kernel or the way does not take this train; its datagrams may well pass one by one. */
const isAboutTrain = (result: number): boolean =>
  result === -Errno.EINVAL || result === -Errno.EIO || result === -Errno.EMSGSIZE;
