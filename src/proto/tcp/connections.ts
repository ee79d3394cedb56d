/** Columns of TCP connections, by flow index. Sequence numbers are those of the container's side. */
import type { FlowIndex } from "../../flow/table.ts";

/** What has happened to a connection; each event has a bit of its own. */
export const Event = {
  /** The container's SYN has come and the host's connect is under way. */
  Connecting: 1 << 0,
  SynAckSent: 1 << 1,
  Established: 1 << 2,
  /** The container's FIN has been accepted, with everything before it. */
  TapFinReceived: 1 << 3,
  /** The host socket is shut down for writing, behind the last byte. */
  SocketFinSent: 1 << 4,
  /** The host socket has reached its end of stream. */
  SocketFinReceived: 1 << 5,
  TapFinSent: 1 << 6,
  TapFinAcknowledged: 1 << 7,
  /** A client has been accepted, and our SYN is on its way to the container. */
  SynSent: 1 << 8,
} as const;

/** Short-lived facts. */
export const Flag = {
  /** The host socket may have data or an end of stream. */
  Readable: 1 << 0,
  /** An acknowledgement goes out at the end of the batch whatever else happens. */
  AckNow: 1 << 1,
  /** Data flows in turns: acknowledgements wait a little for an answer to ride on. */
  Interactive: 1 << 2,
  /** `finSequence` is valid. */
  FinKnown: 1 << 3,
  /** Lost data is being sent again; further duplicate acknowledgements mean nothing until `recover`. */
  Recovering: 1 << 4,
  /** The host socket keeps itself alive. */
  KeepAlive: 1 << 5,
  /** The far side has ended its stream, broken off or sent urgent data: a short peek need not be the last one. */
  Hangup: 1 << 6,
  /** The far side has broken off, and the host socket has said so: behind what it received, nothing more comes. */
  Reset: 1 << 7,
} as const;

export class Connections {
  /** Bits of Event. */
  readonly events: Uint16Array;
  /** Bits of Flag. */
  readonly flags: Uint16Array;

  /** Next sequence number expected from the container; everything before it is accepted. */
  readonly rcvNxt: Uint32Array;
  /** Right edge of the window shown to the container; it never moves back. */
  readonly rcvAdvertised: Uint32Array;
  /** Last acknowledgement number sent. */
  readonly ackSent: Uint32Array;
  /** Shift of the windows we show, and of those the container shows. */
  readonly rcvScale: Uint8Array;
  readonly sndScale: Uint8Array;

  /** Segments of this batch that came behind a hole. */
  readonly holes: Uint8Array;

  /** First sequence number the container has not acknowledged. */
  readonly sndUna: Uint32Array;
  /** Next to send; behind `sndMax` while lost data is sent again. */
  readonly sndNxt: Uint32Array;
  readonly sndMax: Uint32Array;
  /** `sndMax` when the last loss was noticed. */
  readonly recover: Uint32Array;
  /** The container's window in bytes. */
  readonly sndWnd: Uint32Array;
  /** Our FIN's place, once all data before it is known. */
  readonly finSequence: Uint32Array;
  /** Largest payload of a segment to the container. */
  readonly mss: Uint32Array;

  /** Bytes acknowledged by the container that still wait in the host socket. */
  readonly discardable: Uint32Array;
  /** Acknowledgements since the last discard. */
  readonly discardAcks: Uint8Array;
  /** Times the same data was sent again without progress. */
  readonly retries: Uint8Array;
  /** When to send again, and when a delayed acknowledgement is due: milliseconds, 0 = not at all. */
  readonly retransmitAt: Float64Array;
  readonly ackAt: Float64Array;
  /** Last time either side said anything. */
  readonly activeAt: Float64Array;
  /** Keep-alive probes sent to the container without an answer. */
  readonly probes: Uint8Array;

  readonly #columns: (Uint8Array | Uint16Array | Uint32Array | Float64Array)[] = [];

  constructor(capacity: number) {
    const column = <Column extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(
      array: Column,
    ): Column => {
      this.#columns.push(array);
      return array;
    };
    const words = (): Uint32Array => column(new Uint32Array(capacity));
    const bytes = (): Uint8Array => column(new Uint8Array(capacity));
    const times = (): Float64Array => column(new Float64Array(capacity));
    this.events = column(new Uint16Array(capacity));
    this.flags = column(new Uint16Array(capacity));
    this.rcvNxt = words();
    this.rcvAdvertised = words();
    this.ackSent = words();
    this.rcvScale = bytes();
    this.sndScale = bytes();
    this.holes = bytes();
    this.sndUna = words();
    this.sndNxt = words();
    this.sndMax = words();
    this.recover = words();
    this.sndWnd = words();
    this.finSequence = words();
    this.mss = words();
    this.discardable = words();
    this.discardAcks = bytes();
    this.retries = bytes();
    this.retransmitAt = times();
    this.ackAt = times();
    this.activeAt = times();
    this.probes = bytes();
  }

  /** Makes the row that of a connection about which nothing is known. */
  reset(flow: FlowIndex): void {
    for (const column of this.#columns) column[flow] = 0;
  }

  /** Makes the row like another one. */
  copy(flow: FlowIndex, from: FlowIndex): void {
    for (const column of this.#columns) column[flow] = column[from];
  }
}

/** State names of RFC 9293, as the container's peer would be in; for logs and tests. */
export function rfcState(events: number): string {
  const has = (bit: number): boolean => (events & bit) !== 0;
  if (has(Event.Connecting)) return "SYN-RECEIVED";
  if (has(Event.SynAckSent)) return "SYN-RECEIVED";
  if (has(Event.SynSent)) return "SYN-SENT";
  if (!has(Event.Established)) return "CLOSED";
  if (has(Event.TapFinSent)) {
    if (has(Event.TapFinAcknowledged)) return has(Event.TapFinReceived) ? "TIME-WAIT" : "FIN-WAIT-2";
    return has(Event.TapFinReceived) ? "LAST-ACK" : "FIN-WAIT-1";
  }
  return has(Event.TapFinReceived) ? "CLOSE-WAIT" : "ESTABLISHED";
}
