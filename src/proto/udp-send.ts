/**
 * Datagrams to the host. Those of one flow that follow each other and have one size leave together as a train;
 * only the last of a train may be shorter, and none is empty.
 */
import { Count } from "../base/counters.ts";
import { isIpv4 } from "../base/address.ts";
import { SideWord, type FlowIndex } from "../flow/table.ts";
import { DontFragment, type UdpFlows } from "./udp-flows.ts";
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

  /** Adds a datagram of the flow; all those added leave by `end` at the latest, in order. */
  add(flow: FlowIndex, at: number, length: number): void {
    const count = this.#count;
    if (count > 0 && !this.#joins(flow, length)) {
      this.end(flow);
      return this.add(flow, at, length);
    }
    this.#at[count] = at;
    this.#length[count] = length;
    this.#count = count + 1;
    this.#bytes += length;
  }

  /** Sends what was added. */
  end(flow: FlowIndex): void {
    const count = this.#count;
    if (count > 1) this.#sendTrain(flow, count);
    else if (count === 1) this.#sendOne(flow, 0);
    this.#count = 0;
    this.#bytes = 0;
  }

  /** Tells whether a datagram of this length may follow those added. */
  #joins(flow: FlowIndex, length: number): boolean {
    const count = this.#count;
    const segment = this.#length[0];
    return (
      count < TRAIN_DATAGRAMS &&
      this.#length[count - 1] === segment &&
      length <= segment &&
      length > 0 &&
      this.#bytes + length <= TRAIN_BYTES &&
      this.#flows.noTrains[flow] === 0
    );
  }

  #sendTrain(flow: FlowIndex, count: number): void {
    const { host, socket, counters } = this.#net;
    const segment = this.#length[0];
    let result = host.sendTrain(socket[flow], this.#setParts(count), segment);
    if (result < 0 && !isAboutTrain(result) && !isFull(result)) {
      // It may be the error of an earlier datagram; that must not cost these.
      this.#errors.drain(flow, 0, 0);
      result = host.sendTrain(socket[flow], this.#setParts(count), segment);
    }
    if (result >= 0) return;
    if (isFull(result)) return counters.add(Count.dropUdpSend, count);
    let sent = 0;
    for (let i = 0; i < count; i++) {
      if (this.#sendOne(flow, i)) sent++;
      // There is no way at all; one error says it for all of them.
      else if (!isAboutTrain(result)) return counters.add(Count.dropUdpSend, count - i - 1);
    }
    // Datagrams that are no trouble alone are no better in the next train.
    if (sent === count && result !== -Errno.EMSGSIZE) this.#flows.noTrains[flow] = 1;
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
  #sendOne(flow: FlowIndex, index: number): boolean {
    const { counters } = this.#net;
    const at = this.#at[index];
    const length = this.#length[index];
    let result = this.#send(flow, at, length);
    if (result >= 0) return true;
    if (!isFull(result)) {
      // As above.
      const drained = this.#errors.drain(flow, at, length);
      const itself = result === -Errno.EMSGSIZE && (drained & Drained.TooBig) !== 0;
      if (!itself) {
        result = this.#send(flow, at, length);
        if (result >= 0) return true;
        if (!isFull(result) && this.#errors.drain(flow, at, length) === 0) {
          this.#errors.refused(flow, -result, at, length);
        }
      }
    }
    counters.add(Count.dropUdpSend);
    return false;
  }

  #send(flow: FlowIndex, at: number, length: number): number {
    const { host, socket } = this.#net;
    if (length === 0) return host.send(socket[flow], 0);
    host.part(0, at, length);
    return host.send(socket[flow], 1);
  }
}

/** No room now: the datagram is lost, as on any full line. */
const isFull = (result: number): boolean =>
  result === -Errno.EAGAIN || result === -Errno.ENOBUFS || result === -Errno.ENOMEM;

/** The kernel or the way does not take this train; its datagrams may well pass one by one. */
const isAboutTrain = (result: number): boolean =>
  result === -Errno.EINVAL || result === -Errno.EIO || result === -Errno.EMSGSIZE;
