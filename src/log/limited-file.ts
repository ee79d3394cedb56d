/** A file of lines that does not grow without end. */
import { fstatSync, ftruncateSync, readSync, writeSync } from "node:fs";

/** What is kept of a file that is full. */
const KEPT_SHARE = 0.7;
const CHUNK = 65_536;
const NEWLINE = 0x0a;

/**
 * When it is full, its older lines go, except for the first, which says what the file is about. Lines stay whole. Others
 * may append to the file too.
 */
export class LimitedFile {
  readonly #fd: number;
  readonly #limit: number;

  /**
   * @param fd open for reading and writing, and not for appending
   * @param limit in bytes
   */
  constructor(fd: number, limit: number) {
    this.#fd = fd;
    this.#limit = limit;
  }

  /** Adds bytes at the end; returns how many, 0 when there is no room for them. Throws errors of node:fs. */
  append(bytes: Uint8Array): number {
    let { size } = fstatSync(this.#fd);
    if (size + bytes.length > this.#limit) size = this.#shorten(size);
    if (size + bytes.length > this.#limit) return 0;
    return writeSync(this.#fd, bytes, 0, bytes.length, size);
  }

  /** Drops lines behind the first; returns the new size. */
  #shorten(size: number): number {
    let to = this.#behindLine(0, size);
    const least = size - Math.floor(this.#limit * KEPT_SHARE);
    let from = this.#behindLine(Math.max(to, least) - 1, size);
    const chunk = Buffer.allocUnsafe(CHUNK);
    while (from < size) {
      const length = readSync(this.#fd, chunk, 0, Math.min(CHUNK, size - from), from);
      if (length === 0) break;
      writeSync(this.#fd, chunk, 0, length, to);
      from += length;
      to += length;
    }
    ftruncateSync(this.#fd, to);
    return to;
  }

  /** Where the line begins that follows the one with the byte at `at`; `size` when there is none. */
  #behindLine(at: number, size: number): number {
    const chunk = Buffer.allocUnsafe(CHUNK);
    for (let from = at; from < size;) {
      const length = readSync(this.#fd, chunk, 0, CHUNK, from);
      if (length === 0) break;
      const newline = chunk.subarray(0, length).indexOf(NEWLINE);
      if (newline >= 0) return from + newline + 1;
      from += length;
    }
    return size;
  }
}
