/** The error queue of datagram sockets: what routers, peers and our own kernel said of what we sent. See ip(7). */
import type { Arena } from "../base/arena.ts";
import * as c from "../ffi/constants.ts";
import * as libc from "../ffi/libc-socket.ts";
import { allocate, getWord, setWord } from "../ffi/memory.ts";
import { cmsghdr, msghdr, sockaddrIn6, sockExtendedErr } from "../ffi/structs.ts";
import { isControl, nextControl, readDestination } from "./control-messages.ts";
import { readSockaddr } from "./socket.ts";

/** Most bytes kept of the datagram that caused an error: what fits an ICMPv6 error of 1,280 bytes. */
export const ERROR_PAYLOAD_LENGTH = 1232;

/** Offsets in our own memory. */
const HEADER = 0;
const IOVEC = 64;
const NAME = 80;
const CONTROL = 128;
const CONTROL_LENGTH = 512;

/** The last entry read. */
export interface QueuedError {
  errno: number;
  /** SO_EE_ORIGIN_*: 1 local, 2 ICMP, 3 ICMPv6. */
  origin: number;
  type: number;
  code: number;
  /** MTU of the path for "too big" errors, else 0. */
  info: number;
  /** The node that reported the error as four big-endian words; all zero when unknown. */
  readonly offender: Uint32Array;
  /** Arena offset and length of what is known of the datagram, from behind its UDP header. */
  payloadAt: number;
  payloadLength: number;
}

export class ErrorQueue {
  readonly error: QueuedError;
  readonly #own: Arena;

  /** @param payloadAt arena offset of ERROR_PAYLOAD_LENGTH bytes that are ours */
  constructor(arena: Arena, payloadAt: number) {
    this.error = {
      errno: 0,
      origin: 0,
      type: 0,
      code: 0,
      info: 0,
      offender: new Uint32Array(4),
      payloadAt,
      payloadLength: 0,
    };
    this.#own = allocate(CONTROL + CONTROL_LENGTH);
    const { view, address } = this.#own;
    setWord(view, IOVEC, arena.address + payloadAt);
    setWord(view, IOVEC + 8, ERROR_PAYLOAD_LENGTH);
    setWord(view, HEADER + msghdr.name, address + NAME);
    setWord(view, HEADER + msghdr.iovecs, address + IOVEC);
    setWord(view, HEADER + msghdr.iovecCount, 1);
    setWord(view, HEADER + msghdr.control, address + CONTROL);
  }

  /**
   * Takes one entry into `error`: 1, or -errno, which is -EAGAIN when the queue is empty. Stores where the datagram went
   * at `words[target]`, its port in the word behind, and, where the socket asks for it (IP_PKTINFO), where it came
   * from at `words[source]`.
   */
  read(fd: number, words: Uint32Array, source: number, target: number): number {
    const { view, address } = this.#own;
    for (;;) {
      view.setUint32(HEADER + msghdr.nameLength, sockaddrIn6.size, true);
      view.setUint16(NAME + sockaddrIn6.family, c.AF_UNSPEC, true);
      setWord(view, HEADER + msghdr.controlLength, CONTROL_LENGTH);
      const result = libc.recvmsg(fd, address + HEADER, c.MSG_ERRQUEUE | c.MSG_DONTWAIT);
      if (result < 0) return result;
      this.error.payloadLength = result;
      words[target + 4] = readSockaddr(view, NAME, words, target);
      words.fill(0, source, source + 4);
      if (this.#parse(getWord(view, HEADER + msghdr.controlLength), words, source)) return 1;
    }
  }

  /** Finds the error among control messages of `length` bytes. */
  #parse(length: number, words: Uint32Array, source: number): boolean {
    const { view } = this.#own;
    const end = CONTROL + length;
    let isFound = false;
    for (let at = CONTROL; at + cmsghdr.size <= end; at = nextControl(view, at)) {
      const isError =
        isControl(view, at, c.IPPROTO_IP, c.IP_RECVERR) ||
        isControl(view, at, c.IPPROTO_IPV6, c.IPV6_RECVERR);
      if (isError) this.#store(at + cmsghdr.size);
      // An ICMP error was sent to whence its cause came.
      else readDestination(view, at, words, source, false);
      isFound ||= isError;
    }
    return isFound;
  }

  #store(at: number): void {
    const { view } = this.#own;
    const error = this.error;
    error.errno = view.getUint32(at + sockExtendedErr.errno, true);
    error.origin = view.getUint8(at + sockExtendedErr.origin);
    error.type = view.getUint8(at + sockExtendedErr.type);
    error.code = view.getUint8(at + sockExtendedErr.code);
    error.info = view.getUint32(at + sockExtendedErr.info, true);
    // The kernel always leaves room for an address; without one its family is AF_UNSPEC.
    readSockaddr(view, at + sockExtendedErr.size, error.offender, 0);
  }
}
