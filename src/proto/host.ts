/**
 * Everything a protocol asks of the system. The engine implements it with kernel objects, the packet scripts
 * with a script and a fake clock; protocols never see anything else of the machine.
 *
 * Conventions: memory is named by offsets into `arena`; results are non-negative or a negative errno; nothing
 * blocks, throws or allocates. Addresses and ports of a socket are those of a side of a flow in the flow table.
 */
import type { Arena } from "../base/arena.ts";
import type { Pif } from "../flow/state.ts";
import type { FlowIndex, SideIndex } from "../flow/table.ts";

/** An open descriptor, or a negative errno. */
export type Fd = number;
/** A pipe of the host's: a number that means something to it only, or a negative errno. */
export type Pipe = number;

/** What the last `readError` found. Addresses are four big-endian words, IPv4 mapped into IPv6. */
export interface SocketError {
  /** Positive errno of the error, such as ECONNREFUSED or EMSGSIZE. */
  errno: number;
  /** SO_EE_ORIGIN_*: 1 local, 2 ICMP, 3 ICMPv6. */
  origin: number;
  type: number;
  code: number;
  /** MTU of the path for "too big" errors, else 0. */
  info: number;
  /** The node that reported the error; all zero when unknown. */
  readonly offender: Uint32Array;
  /** Start of the datagram that caused it, at this arena offset, and how many bytes of it are there. */
  payloadAt: number;
  payloadLength: number;
}

export interface Host {
  readonly arena: Arena;
  /** Milliseconds of a monotonic clock; constant while one batch is handled. */
  readonly nowMs: number;

  /** Writes one frame: a virtio_net_hdr (10 bytes) and an Ethernet frame. */
  tapWrite(at: number, length: number): number;

  /**
   * A non-blocking TCP socket with TCP_NODELAY: in the host's network namespace (Pif.Host), ready for `peek`, or in
   * the container's (Pif.Splice). Of the latter there is a stock that is refilled meanwhile: -EAGAIN means that it is
   * empty and that the stack will be told when it is not (`Stack.insideReady`).
   */
  openTcp(v6: boolean, pif: Pif): Fd;
  /** A non-blocking UDP socket with the error queue on and, where the kernel has it, UDP_GRO; `pif` as above. */
  openUdp(v6: boolean, pif: Pif): Fd;
  /** A non-blocking ping socket (ICMP or ICMPv6 echo) with the error queue on. */
  openPing(v6: boolean): Fd;
  /** Binds to "ours" of the target side of the flow. An unspecified address or port 0 leaves it to the kernel. */
  bind(fd: Fd, flow: FlowIndex): number;
  /** Binds to a device by name (SO_BINDTODEVICE). */
  bindToDevice(fd: Fd, name: string): number;
  /** Connects to "endpoint" of the target side of the flow; -EINPROGRESS is the usual answer for TCP. */
  connect(fd: Fd, flow: FlowIndex): number;
  /** Reads back the local address and port into "ours" of the target side. */
  readLocal(fd: Fd, flow: FlowIndex): number;
  /**
   * Starts edge-triggered events (readable, writable, urgent data, peer's half-close, error) for a side of a flow.
   * Registered once; never changed afterwards. Closing the descriptor ends it.
   */
  watch(fd: Fd, side: SideIndex): number;
  /**
   * Takes a connection from a listening socket: non-blocking, with TCP_NODELAY. Leaves its addresses and ports in
   * `flows.key` (Ours: the address it came to, Endpoint: the peer); protocol and pif are the caller's.
   * -EAGAIN when there is none, -EMFILE when no more descriptors may be used: the connection was then reset.
   * After any other error the connection still waits.
   */
  accept(listener: Fd): Fd;
  /** Makes a connection ready for `peek`, which then starts with the first byte that was not discarded. */
  preparePeek(fd: Fd): void;
  /** A connection that was not shut down for writing ends with a reset. */
  close(fd: Fd): void;
  /** Closes so that the peer sees a reset (SO_LINGER with zero time). */
  closeReset(fd: Fd): void;

  /** Sets part `index` of the next `send`: `length` bytes at arena offset `at`. Fewer than 1,024 parts. */
  part(index: number, at: number, length: number): void;
  /** Sends the first `parts` parts on a connected stream or datagram socket: bytes taken, or -errno. */
  send(fd: Fd, parts: number): number;
  /** Sends the first `parts` parts as a train of datagrams of `segment` bytes each, the last may be shorter. */
  sendTrain(fd: Fd, parts: number, segment: number): number;
  /** Takes up to `length` bytes of a stream on which nothing is peeked at: bytes, 0 at its end, or -errno. */
  read(fd: Fd, at: number, length: number): number;
  /** Copies up to `length` bytes of a stream from the peek position, which advances: bytes, 0 at its end. */
  peek(fd: Fd, at: number, length: number): number;
  /** Moves the peek position to `offset` bytes behind the first byte not discarded. */
  setPeekOffset(fd: Fd, offset: number): number;
  /** Drops `length` bytes from the head of the stream; the peek position stays on the same byte. */
  discard(fd: Fd, length: number): number;
  /**
   * Receives one datagram, or with UDP_GRO a train of them: bytes received or -errno.
   * `receivedSegment` then holds the size of each datagram of the train, or 0 for a single one.
   */
  receive(fd: Fd, at: number, length: number): number;
  readonly receivedSegment: number;
  /**
   * The same on an unconnected socket: leaves addresses and ports in `flows.key` (Ours: the address it was sent to,
   * Endpoint: the sender).
   */
  receiveFrom(fd: Fd, at: number, length: number): number;
  /**
   * Sends the first `parts` parts on an unconnected socket, from "ours" to "endpoint" of a side: as one datagram when
   * `segment` is 0, else as a train.
   */
  sendFrom(fd: Fd, parts: number, segment: number, side: SideIndex): number;
  /**
   * Takes one entry of the error queue into `error`: 1, or -EAGAIN when empty. On an unconnected socket
   * `flows.key` then holds the datagram's destination (Endpoint) and its source (Ours), as far as they are known.
   */
  readError(fd: Fd): number;
  readonly error: SocketError;
  /** Reads and clears SO_ERROR: 0 or the positive errno. */
  takeError(fd: Fd): number;
  shutdownWrite(fd: Fd): number;
  /** Largest segment to offer and to send (TCP_MAXSEG); only before connect. */
  setMaxSegment(fd: Fd, bytes: number): number;
  setKeepAlive(fd: Fd): number;
  /** For a stream that does not leave the machine: nothing holds it back but its receiver. */
  setLocal(fd: Fd): number;
  /** TTL or hop limit of what is sent from now on. */
  setHopLimit(fd: Fd, v6: boolean, hops: number): number;
  /** Whether datagrams may be fragmented on the way (IP_MTU_DISCOVER DO or DONT). */
  setDontFragment(fd: Fd, v6: boolean, on: boolean): number;
  /** DSCP and ECN bits are not carried; broadcast destinations need this once. */
  setBroadcast(fd: Fd): number;
  /** An empty pipe for `fillPipe`. */
  takePipe(): Pipe;
  /** Gives back a pipe; one that still holds bytes loses them. */
  givePipe(pipe: Pipe, isEmpty: boolean): void;
  /**
   * Moves what a stream holds into a pipe (splice(2)): bytes, 0 at the end of the stream, -EAGAIN when none is there or
   * the next one is urgent.
   */
  fillPipe(pipe: Pipe, fd: Fd): number;
  /** Moves up to `length` bytes of a pipe to a stream: bytes, or -EAGAIN when it takes none. */
  drainPipe(pipe: Pipe, fd: Fd, length: number): number;
  /** Copies up to `length` bytes, at most a page, into an empty pipe, which has room for them. */
  writePipe(pipe: Pipe, at: number, length: number): void;
  /**
   * Tells whether the host's packets to the address at `words[at]` leave through its interface of this index to one
   * station, and leaves that one's address in `hop` (four words): the next router's, or the address itself.
   */
  findNexthop(words: Uint32Array, at: number, interfaceIndex: number, hop: Uint32Array): boolean;
  /**
   * Tells whether the host knows the MAC address behind an address on the link of its interface of this index, and
   * copies it to `mac` (6 bytes).
   */
  findMac(words: Uint32Array, at: number, interfaceIndex: number, mac: Uint8Array): boolean;
  /** Gives the pages of an arena range back to the system; their content is lost. */
  release(at: number, length: number): void;
}
