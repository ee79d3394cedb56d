/** Writes all frames of the TAP to a file, in the format of pcap. */
import { ftruncateSync } from "node:fs";
import { Count, type Counters } from "../base/counters.ts";
import { AppError } from "../base/errors.ts";
import { errnoName } from "../ffi/errno.ts";
import { write, writev } from "../ffi/libc.ts";
import { allocate, setWord } from "../ffi/memory.ts";
import { iovec } from "../ffi/structs.ts";
import { PCAP_LENGTH, PCAP_RECORD_LENGTH, writePcap, writePcapRecord } from "../wire/pcap.ts";

/** Two struct iovec: the record and the frame. */
const PARTS = PCAP_LENGTH;
const FRAME = PARTS + iovec.size;
/** Our clock runs on while others set theirs; this much of a difference is told. */
const CLOCK_MS = 1000;

export class Capture {
  readonly #fd: number;
  readonly #counters: Counters;
  readonly #memory = allocate(FRAME + iovec.size);
  /** Bytes in the file, up to the end of the last whole frame. */
  #size = PCAP_LENGTH;
  /** What `performance.now` counts from, in milliseconds since 1970. */
  #origin = performance.timeOrigin;

  /**
   * Begins a file that is empty. Throws LOG_FILE.
   * @param fd appends whatever is written
   */
  constructor(fd: number, counters: Counters) {
    this.#fd = fd;
    this.#counters = counters;
    const { address, view } = this.#memory;
    writePcap(view, 0);
    const written = write(fd, address, PCAP_LENGTH);
    if (written < PCAP_LENGTH) {
      const why = written < 0 ? errnoName(-written) : "the disk is full";
      throw new AppError("LOG_FILE", `cannot write the capture: ${why}; free space or choose another file`);
    }
    setWord(view, PARTS + iovec.base, address);
    setWord(view, PARTS + iovec.length, PCAP_RECORD_LENGTH);
  }

  /** Adds an Ethernet frame of `length` bytes at an address. One that finds no room is lost. */
  frame(address: number, length: number): void {
    const { view } = this.#memory;
    writePcapRecord(view, 0, this.#now(), length);
    setWord(view, FRAME + iovec.base, address);
    setWord(view, FRAME + iovec.length, length);
    const written = writev(this.#fd, this.#memory.address + PARTS, 2);
    if (written === PCAP_RECORD_LENGTH + length) {
      this.#size += written;
      return;
    }
    this.#counters.add(Count.captureLost);
    // Part of a frame would make everything behind it unreadable.
    if (written > 0) ftruncateSync(this.#fd, this.#size);
  }

  #now(): number {
    const monotonic = performance.now();
    const time = this.#origin + monotonic;
    const clock = Date.now();
    if (Math.abs(clock - time) < CLOCK_MS) return time;
    this.#origin = clock - monotonic;
    return clock;
  }
}
