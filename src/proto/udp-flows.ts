/** Columns of UDP flows, by flow index, how long a flow lives, and its end. */
import { Count } from "../base/counters.ts";
import { TARGET, type FlowIndex, type SideIndex } from "../flow/table.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import type { Net } from "./net.ts";

/** Idle times in milliseconds, those of Linux connection tracking (nf_conntrack_udp_timeout, _stream). */
const ONE_WAY_MS = 30_000;
const STREAM_MS = 120_000;
/** A resolver answers within seconds or not at all, and is hardly asked again from the same port. */
const DNS_MS = 10_000;
/** Counting of datagrams stops here: nobody asks for more. */
const MANY = 2;

/** No listener. */
export const NO_SLOT = -1;

/** Values of `dontFragment`. */
export const DontFragment = { Unset: 0, Off: 1, On: 2 } as const;

export class UdpFlows {
  /** The listener that sends and receives for the side without a socket of its own, or NO_SLOT. */
  readonly listener: Int32Array;
  /** Milliseconds of the last datagram either way. */
  readonly activeAt: Float64Array;
  /** Datagrams from the initiating side, and from the target: 0, 1, or 2 for more. */
  readonly asked: Uint8Array;
  readonly answered: Uint8Array;
  /** Hop limit set on the socket, or 0. */
  readonly hopLimit: Uint8Array;
  /** Value of DontFragment set on the socket. */
  readonly dontFragment: Uint8Array;
  /** 1 when the way to this peer takes no trains. */
  readonly noTrains: Uint8Array;
  /** Error events that had no error. */
  readonly emptyErrors: Uint8Array;
  /** 1 when the flow asks one of the host's resolvers for names. */
  readonly isDns: Uint8Array;
  readonly #net: Net;

  constructor(net: Net) {
    const { capacity } = net.flows;
    this.#net = net;
    this.listener = new Int32Array(capacity);
    this.activeAt = new Float64Array(capacity);
    this.asked = new Uint8Array(capacity);
    this.answered = new Uint8Array(capacity);
    this.hopLimit = new Uint8Array(capacity);
    this.dontFragment = new Uint8Array(capacity);
    this.noTrains = new Uint8Array(capacity);
    this.emptyErrors = new Uint8Array(capacity);
    this.isDns = new Uint8Array(capacity);
  }

  /** Makes the row that of a flow about which nothing is known, without a socket. */
  reset(flow: FlowIndex): void {
    this.#net.socket[flow] = -1;
    this.listener[flow] = NO_SLOT;
    this.activeAt[flow] = this.#net.host.nowMs;
    this.asked[flow] = 0;
    this.answered[flow] = 0;
    this.hopLimit[flow] = 0;
    this.dontFragment[flow] = DontFragment.Unset;
    this.noTrains[flow] = 0;
    this.emptyErrors[flow] = 0;
    this.isDns[flow] = 0;
  }

  /** Lets a listener send and receive for the side of the flow that has no socket. */
  use(flow: FlowIndex, slot: ListenerSlot): void {
    this.listener[flow] = slot;
    this.#net.listeners.use(slot);
  }

  /** The listener that sends for a side, or NO_SLOT when the side has a connected socket. */
  listenerOf(side: SideIndex): ListenerSlot {
    const flow = side >> 1;
    return (side & 1) === TARGET && this.#net.socket[flow] >= 0 ? NO_SLOT : this.listener[flow];
  }

  /** Notes that a datagram came from a side. */
  note(side: SideIndex): void {
    const flow = side >> 1;
    const counts = (side & 1) === TARGET ? this.answered : this.asked;
    this.activeAt[flow] = this.#net.host.nowMs;
    if (counts[flow] < MANY) counts[flow]++;
  }

  /** When the flow ends unless something comes. */
  deadline(flow: FlowIndex): number {
    const answered = this.answered[flow] > 0;
    let idle = ONE_WAY_MS;
    if (this.isDns[flow] !== 0) idle = DNS_MS;
    else if (answered && (this.asked[flow] === MANY || this.answered[flow] === MANY)) idle = STREAM_MS;
    return this.activeAt[flow] + idle;
  }

  close(flow: FlowIndex): void {
    const { counters, flows, host, listeners, socket, timers } = this.#net;
    timers.disarm(flow);
    if (socket[flow] >= 0) host.close(socket[flow]);
    if (this.listener[flow] >= 0) listeners.release(this.listener[flow]);
    socket[flow] = -1;
    this.listener[flow] = NO_SLOT;
    flows.close(flow);
    counters.add(Count.flowsClosed);
  }
}
