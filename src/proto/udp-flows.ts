/** Columns of UDP flows, by flow index, and how long a flow lives. */
import type { FlowIndex } from "../flow/table.ts";

/** Idle times in milliseconds, those of Linux connection tracking (nf_conntrack_udp_timeout, _stream). */
const ONE_WAY_MS = 30_000;
const STREAM_MS = 120_000;
/** A resolver that has answered is hardly asked again from the same port. */
const DNS_ANSWERED_MS = 10_000;
/** Counting of datagrams stops here: nobody asks for more. */
const MANY = 2;

/** Values of `dontFragment`. */
export const DontFragment = { Unset: 0, Off: 1, On: 2 } as const;

export class UdpFlows {
  /** Milliseconds of the last datagram either way. */
  readonly activeAt: Float64Array;
  /** Datagrams from the container, and to it: 0, 1, or 2 for more. */
  readonly sent: Uint8Array;
  readonly received: Uint8Array;
  /** Hop limit set on the socket, or 0. */
  readonly hopLimit: Uint8Array;
  /** Value of DontFragment set on the socket. */
  readonly dontFragment: Uint8Array;
  /** 1 when the way to this peer takes no trains. */
  readonly noTrains: Uint8Array;
  /** Error events that had no error. */
  readonly emptyErrors: Uint8Array;
  /** Which of the host's resolvers the flow asks, plus 1; 0 for a flow that is not to the resolver. */
  readonly resolver: Uint8Array;

  constructor(capacity: number) {
    this.activeAt = new Float64Array(capacity);
    this.sent = new Uint8Array(capacity);
    this.received = new Uint8Array(capacity);
    this.hopLimit = new Uint8Array(capacity);
    this.dontFragment = new Uint8Array(capacity);
    this.noTrains = new Uint8Array(capacity);
    this.emptyErrors = new Uint8Array(capacity);
    this.resolver = new Uint8Array(capacity);
  }

  /** Makes the row that of a flow about which nothing is known. */
  reset(flow: FlowIndex): void {
    this.activeAt[flow] = 0;
    this.sent[flow] = 0;
    this.received[flow] = 0;
    this.hopLimit[flow] = 0;
    this.dontFragment[flow] = DontFragment.Unset;
    this.noTrains[flow] = 0;
    this.emptyErrors[flow] = 0;
    this.resolver[flow] = 0;
  }

  noteSent(flow: FlowIndex, nowMs: number): void {
    this.activeAt[flow] = nowMs;
    if (this.sent[flow] < MANY) this.sent[flow]++;
  }

  noteReceived(flow: FlowIndex, nowMs: number): void {
    this.activeAt[flow] = nowMs;
    if (this.received[flow] < MANY) this.received[flow]++;
  }

  /** When the flow ends unless something comes. */
  deadline(flow: FlowIndex): number {
    const answered = this.received[flow] > 0;
    let idle = ONE_WAY_MS;
    if (answered && this.resolver[flow] !== 0) idle = DNS_ANSWERED_MS;
    else if (answered && (this.sent[flow] === MANY || this.received[flow] === MANY)) idle = STREAM_MS;
    return this.activeAt[flow] + idle;
  }
}
