/** Where log lines go: a descriptor that may be full, closed or slow without anybody noticing. */
import { constants, fstatSync, openSync, writeSync } from "node:fs";
import { LimitedFile } from "./limited-file.ts";

/**
 * Writes lines, each at once. A line that cannot be written is dropped and counted: the log never throws, never
 * retries and, where the descriptor allows it, never waits.
 */
export class LogSink {
  /** Lines lost since the last one that was written. */
  dropped = 0;
  readonly #append: (bytes: Uint8Array) => number;
  #torn = false;

  /**
   * @param destination an open descriptor, which is not closed, or the path of a file to append to
   * @param limit bytes that a regular file may have; the descriptor is one for a LimitedFile
   */
  constructor(destination: number | string, limit?: number) {
    const fd =
      typeof destination === "number" ? withoutWaiting(destination) : openSync(destination, "a", 0o600);
    const file = limit === undefined || !fstatSync(fd).isFile() ? undefined : new LimitedFile(fd, limit);
    this.#append = file === undefined ? (bytes) => writeSync(fd, bytes) : (bytes) => file.append(bytes);
  }

  /** @param line ends with a newline */
  write(line: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${line}` : line);
    let written = 0;
    try {
      written = this.#append(bytes);
    } catch {
      // Full, closed or gone. Saying so is impossible: this is the place where things are said.
    }
    if (written === bytes.length) {
      this.dropped = 0;
      this.#torn = false;
    } else {
      this.dropped++;
      if (written > 0) this.#torn = bytes[written - 1] !== 0x0a;
    }
  }
}

/**
 * Opens a pipe or terminal anew in non-blocking mode, so that a reader that has stopped cannot stop us. The flag
 * belongs to the open file, which other processes share, and so must not be set on the original.
 */
function withoutWaiting(fd: number): number {
  try {
    const kind = fstatSync(fd);
    if (!kind.isFIFO() && !kind.isCharacterDevice()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return fd;
  }
}
