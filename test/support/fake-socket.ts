/** Sockets in memory, for FakeHost: what a test puts in and what was done to them. */

const EAGAIN = 11;
const EPIPE = 32;

/** An entry of an error queue; what is not given is zero. */
export interface FakeError {
  errno: number;
  origin?: number;
  type?: number;
  code?: number;
  info?: number;
  offender?: Uint32Array;
  payload?: Uint8Array;
  /** On an unconnected socket: which datagram it is about, as its sender and receiver. */
  about?: FakeClient;
}

/** A datagram, or with `segment` a train of them, that a socket is to receive. */
export interface FakeDatagram {
  bytes: Uint8Array;
  segment?: number;
  /** Where it comes from and what it was sent to: needed by `receiveFrom` only. */
  client?: FakeClient;
}

/** Who talks to a listener, and at which of its addresses. Four words each, IPv4 mapped into IPv6. */
export interface FakeClient {
  from: Uint32Array;
  fromPort: number;
  to: Uint32Array;
  toPort: number;
}

export type SocketKind = "tcp" | "udp" | "ping";

/** Something that was sent: a datagram, a train, or a piece of a stream. */
export interface Sent {
  bytes: Uint8Array;
  /** 0 unless it was a train. */
  segment: number;
  /** "address:port > address:port" of `sendFrom`. */
  way?: string;
}

export class FakeSocket {
  readonly fd: number;
  readonly kind: SocketKind;
  readonly v6: boolean;
  /** Pif.Host or Pif.Splice. */
  readonly pif: number;
  /** The side of a flow it was watched for, or -1. */
  side = -1;
  closed: "open" | "closed" | "reset" = "open";
  /** "address:port" after bind and connect. */
  bound = "";
  connected = "";
  device = "";
  /** Last value of each option, by the name of the Host's method. */
  readonly options: Record<string, number | boolean> = {};
  readonly sent: Sent[] = [];
  /** Bytes that `send` still takes; a stream takes a part, a datagram all or nothing. */
  space = Infinity;
  /** Connections that `accept` gives, in order. */
  readonly waiting: FakeClient[] = [];
  /** What `receive` and `receiveFrom` give, in order. */
  readonly inbox: FakeDatagram[] = [];
  /** What `peek` gives: the stream from the first byte not discarded. */
  stream: Uint8Array = new Uint8Array(0);
  streamEnded = false;
  peekOffset = 0;
  /** Where in `stream` an urgent byte is, at which `fillPipe` stops, or -1. */
  urgentAt = -1;
  /** It was reset or has failed: nothing can be sent, and behind what was received there is an error, then an end. */
  isBroken = false;
  writeShut = false;
  readonly errors: FakeError[] = [];
  /** SO_ERROR, positive. */
  error = 0;

  constructor(fd: number, kind: SocketKind, v6: boolean, pif: number) {
    this.fd = fd;
    this.pif = pif;
    this.kind = kind;
    this.v6 = v6;
  }

  get flow(): number {
    return this.side >> 1;
  }

  /** Breaks the connection off as the kernel does, with SO_ERROR `errno`. */
  breakOff(errno: number): void {
    this.error = errno;
    this.isBroken = true;
  }

  /** Reads and clears SO_ERROR. */
  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  /** Sends on a stream: the bytes for which there is space, or -errno; once broken, the reason and then EPIPE. */
  put(bytes: Uint8Array): number {
    if (this.isBroken) return -(this.takeError() || EPIPE);
    const amount = Math.min(bytes.length, this.space);
    if (amount === 0) return -EAGAIN;
    this.space -= amount;
    this.sent.push({ bytes: bytes.slice(0, amount), segment: 0 });
    return amount;
  }

  /**
   * Takes up to `most` bytes off the stream: 0 at its end, -errno when there are none. Stops before an urgent byte, with
   * an error if there is one, unless `isUrgentTaken`.
   */
  takeStream(most: number, isUrgentTaken: boolean): Uint8Array | number {
    const limit = isUrgentTaken || this.urgentAt < 0 ? most : Math.min(most, this.urgentAt);
    const bytes = this.stream.slice(0, limit);
    if (bytes.length === 0) {
      if (!this.streamEnded && this.error !== 0) return -this.takeError();
      return (this.streamEnded || this.isBroken) && this.stream.length === 0 ? 0 : -EAGAIN;
    }
    this.dropStream(bytes.length);
    return bytes;
  }

  /** Copies up to `length` bytes from the peek position, which advances: 0 at the end, -errno when there are none. */
  peekStream(length: number): Uint8Array | number {
    const bytes = this.stream.subarray(this.peekOffset, this.peekOffset + length);
    this.peekOffset += bytes.length;
    if (bytes.length > 0) return bytes;
    // As in the kernel, what was received before the error comes first.
    if (this.error !== 0) return -this.takeError();
    return this.streamEnded || this.isBroken ? 0 : -EAGAIN;
  }

  /** Loses the first bytes of the stream. */
  dropStream(length: number): void {
    this.stream = this.stream.slice(length);
    this.urgentAt = Math.max(this.urgentAt - length, -1);
  }

  /** Puts bytes at the end of the stream. */
  arrive(bytes: Uint8Array): void {
    const joined = new Uint8Array(this.stream.length + bytes.length);
    joined.set(this.stream);
    joined.set(bytes, this.stream.length);
    this.stream = joined;
  }
}
