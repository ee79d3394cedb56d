/**
 * Pipes through which bytes move from one socket to another without being copied (splice(2)). Results are
 * non-negative or a negative errno; nothing waits.
 */
import { assert } from "../base/assert.ts";
import * as c from "../ffi/constants.ts";
import { close, fcntl, pipe2, splice, write } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";

/** Most bytes moved at once; a pipe takes fewer when its pages are used up. */
const MOST = 1 << 20;
const FLAGS = c.SPLICE_F_MOVE | c.SPLICE_F_NONBLOCK;
/** Empty pipes that are kept, and open pipes that are enlarged. */
const KEPT = 16;
/**
 * Bytes that an enlarged pipe has room for. All programs of a user share what pipes may hold (fs.pipe-user-pages-soft,
 * 64 MiB): beyond that new pipes get two pages, everybody's. So only a few of ours are large.
 */
const LARGE = 1 << 20;
/** Smallest size worth asking for: what a pipe has anyway. */
const DEFAULT_SIZE = 1 << 16;

export class Pipes {
  readonly #fdLimit: number;
  /** Empty pipes, by their reading end, which is what a pipe is called outside. */
  readonly #kept: number[] = [];
  /** Writing ends by reading end. */
  #writers: Int32Array = new Int32Array(1024);
  #open = 0;
  #largeSize = LARGE;

  /** @param fdLimit descriptors of pipes are below this */
  constructor(fdLimit: number) {
    this.#fdLimit = fdLimit;
  }

  /** An empty pipe, or -errno: -EMFILE when no more descriptors may be used. */
  take(): number {
    return this.#kept.pop() ?? this.#make();
  }

  /** Gives back a pipe; what one still holds is lost. */
  give(pipe: number, isEmpty: boolean): void {
    if (isEmpty && this.#kept.length < KEPT) {
      this.#kept.push(pipe);
      return;
    }
    this.#open--;
    close(pipe);
    close(this.#writers[pipe]);
  }

  /**
   * Moves what a stream holds into a pipe: bytes, 0 at the end of the stream, -EAGAIN when nothing is there or the pipe
   * is full. Of the last two, the kernel says either before an urgent byte as well.
   */
  fill(pipe: number, fd: number): number {
    let result = splice(fd, this.#writers[pipe], MOST, FLAGS);
    while (result === -c.EINTR) result = splice(fd, this.#writers[pipe], MOST, FLAGS);
    return result;
  }

  /** Copies memory, at most a page, into an empty pipe: none has less room. */
  write(pipe: number, address: number, length: number): void {
    const result = write(this.#writers[pipe], address, length);
    assert(result === length, "an empty pipe has room for a page");
  }

  /**
   * Moves up to `length` bytes, no more than the pipe holds, to a stream: bytes, or -EAGAIN. Not with SPLICE_F_MORE: it
   * holds back the last segment for up to 200 ms when nothing follows, which nobody can know in advance.
   */
  drain(pipe: number, fd: number, length: number): number {
    let result = splice(pipe, fd, length, FLAGS);
    while (result === -c.EINTR) result = splice(pipe, fd, length, FLAGS);
    return result;
  }

  #make(): number {
    const result = pipe2(scratch.address, c.O_NONBLOCK | c.O_CLOEXEC);
    if (result < 0) return result;
    const reader = scratch.view.getInt32(0, true);
    const writer = scratch.view.getInt32(4, true);
    if (Math.max(reader, writer) >= this.#fdLimit) {
      close(reader);
      close(writer);
      return -c.EMFILE;
    }
    if (reader >= this.#writers.length) {
      const grown = new Int32Array(Math.max(reader + 1, this.#writers.length * 2));
      grown.set(this.#writers);
      this.#writers = grown;
    }
    this.#writers[reader] = writer;
    if (this.#open++ < KEPT) this.#enlarge(writer);
    return reader;
  }

  /** Asks for the largest size that the limits allow, and from now on for no more than that. */
  #enlarge(writer: number): void {
    while (this.#largeSize > DEFAULT_SIZE && fcntl(writer, c.F_SETPIPE_SZ, this.#largeSize) < 0) {
      this.#largeSize /= 2;
    }
  }
}
