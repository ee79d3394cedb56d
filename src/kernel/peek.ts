/**
 * Reading a TCP stream ahead without taking it: data stay in the kernel until they are discarded. The kernel keeps
 * the peek position where it can (SO_PEEK_OFF: Linux 6.9 for IPv4, later for IPv6). Where it cannot, every peek
 * copies what was peeked before to a place nobody reads, which is correct and slow. Results are non-negative or a
 * negative errno.
 */
import type { Arena } from "../base/arena.ts";
import * as c from "../ffi/constants.ts";
import { close } from "../ffi/libc.ts";
import * as libc from "../ffi/libc-socket.ts";
import { allocate, setWord } from "../ffi/memory.ts";
import { iovec, msghdr } from "../ffi/structs.ts";
import { MAX_PARTS } from "./messages.ts";
import { getOption, openTcp, setOption } from "./socket.ts";

/** Marks in `#skip` a socket whose position the kernel keeps. */
const IN_KERNEL = -1;
const PEEK = c.MSG_PEEK | c.MSG_DONTWAIT;

const SKIP_LENGTH = 64 * 1024;
const IOVECS = 64;
const SCRATCH = IOVECS + MAX_PARTS * iovec.size;
/** Bytes that a peek can skip without the kernel's help. */
const MAX_SKIP = (MAX_PARTS - 1) * SKIP_LENGTH;

/** First byte of struct tcp_info, and the states in which the peer has ended its stream. @see net/tcp_states.h */
const TCP_TIME_WAIT = 6;
const TCP_CLOSE = 7;
const TCP_CLOSE_WAIT = 8;
const TCP_LAST_ACK = 9;
const TCP_CLOSING = 11;

export class Peek {
  /** Whether the kernel keeps the position for IPv4 and for IPv6. */
  readonly peekOffset4: boolean;
  readonly peekOffset6: boolean;
  readonly #arena: number;
  /** By descriptor: bytes peeked and not discarded, or IN_KERNEL. */
  #skip: Int32Array = new Int32Array(1024);
  #own: Arena | undefined;

  /** @param useKernel false to do without SO_PEEK_OFF even where it is there */
  constructor(arena: Arena, useKernel: boolean) {
    this.#arena = arena.address;
    this.peekOffset4 = useKernel && hasPeekOffset(false);
    this.peekOffset6 = useKernel && hasPeekOffset(true);
  }

  /** Puts the position at the head of a stream. Called once for every socket before any other method. */
  start(fd: number): void {
    if (fd >= this.#skip.length) {
      const grown = new Int32Array(Math.max(fd + 1, this.#skip.length * 2));
      grown.set(this.#skip);
      this.#skip = grown;
    }
    // An IPv4 connection of a socket for both families is among those of IPv6 here, so the socket itself is asked.
    const inKernel =
      (this.peekOffset4 || this.peekOffset6) && setOption(fd, c.SOL_SOCKET, c.SO_PEEK_OFF, 0) >= 0;
    this.#skip[fd] = inKernel ? IN_KERNEL : 0;
  }

  /**
   * Copies up to `length` bytes from the position, which advances: bytes, 0 at the end of the stream. It stops
   * before an urgent byte (EPOLLPRI); without SO_PEEK_OFF until what comes before that is discarded.
   */
  read(fd: number, at: number, length: number): number {
    const skip = this.#skip[fd];
    if (skip === IN_KERNEL) return libc.recv(fd, this.#arena + at, length, PEEK);
    const result =
      skip === 0 ? libc.recv(fd, this.#arena + at, length, PEEK) : this.#readBehind(fd, at, length, skip);
    if (result > 0) this.#skip[fd] = skip + result;
    return result;
  }

  /** Moves the position to `offset` bytes behind the head of the stream. */
  seek(fd: number, offset: number): number {
    if (this.#skip[fd] === IN_KERNEL) return setOption(fd, c.SOL_SOCKET, c.SO_PEEK_OFF, offset);
    this.#skip[fd] = offset;
    return 0;
  }

  /** Drops up to `length` bytes from the head: how many. The position stays on the same byte. */
  discard(fd: number, length: number): number {
    // With MSG_TRUNC, TCP drops bytes without copying them: see tcp(7).
    const result = libc.recv(fd, 0, length, c.MSG_TRUNC | c.MSG_DONTWAIT);
    if (result > 0 && this.#skip[fd] > 0) this.#skip[fd] = Math.max(0, this.#skip[fd] - result);
    return result;
  }

  #readBehind(fd: number, at: number, length: number, skip: number): number {
    if (skip > MAX_SKIP) return -c.EAGAIN;
    let result = this.#peekMessage(fd, at, length, skip);
    if (result < 0 || result > skip) return result < 0 ? result : result - skip;
    // Nothing new. The end shows only in the state; once it does, no more data can come, so look again.
    const state = getOption(fd, c.IPPROTO_TCP, c.TCP_INFO) & 0xff;
    if (!hasEnded(state)) return -c.EAGAIN;
    result = this.#peekMessage(fd, at, length, skip);
    if (result < 0 || result > skip) return result < 0 ? result : result - skip;
    return state === TCP_CLOSE ? 0 - getOption(fd, c.SOL_SOCKET, c.SO_ERROR) : 0;
  }

  /** Peeks with `skip` bytes going to our own memory, as often over the same bytes as it takes. */
  #peekMessage(fd: number, at: number, length: number, skip: number): number {
    this.#own ??= allocate(SCRATCH + SKIP_LENGTH);
    const { address, view } = this.#own;
    let iovecAt = IOVECS;
    for (let left = skip; left > 0; left -= SKIP_LENGTH) {
      setWord(view, iovecAt + iovec.base, address + SCRATCH);
      setWord(view, iovecAt + iovec.length, Math.min(left, SKIP_LENGTH));
      iovecAt += iovec.size;
    }
    setWord(view, iovecAt + iovec.base, this.#arena + at);
    setWord(view, iovecAt + iovec.length, length);
    setWord(view, msghdr.iovecs, address + IOVECS);
    setWord(view, msghdr.iovecCount, (iovecAt - IOVECS) / iovec.size + 1);
    return libc.recvmsg(fd, address, PEEK);
  }
}

const hasEnded = (state: number): boolean =>
  state === TCP_CLOSE_WAIT ||
  state === TCP_LAST_ACK ||
  state === TCP_CLOSING ||
  state === TCP_TIME_WAIT ||
  state === TCP_CLOSE;

/** Asks the kernel, with a socket of that family, whether it keeps the position. */
export function hasPeekOffset(v6: boolean): boolean {
  const fd = openTcp(v6);
  if (fd < 0) return false;
  const result = setOption(fd, c.SOL_SOCKET, c.SO_PEEK_OFF, 0);
  close(fd);
  return result >= 0;
}
