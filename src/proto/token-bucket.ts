/**
 * A limit of bytes in a time, for one direction of the TAP. Frames are never cut nor dropped: whoever sends asks before
 * whether anything may pass, and what does may leave a debt, which is paid before the next. So a burst smaller than a
 * frame is no obstacle, and an acknowledgement passes at once, at the expense of what comes after it.
 */

/** How long a bucket that is empty stays closed at least: each time that it opens costs a wake-up. */
const CLOSED_MS = 4;
/** A wake-up may be so late, and nothing is lost by that. */
const LATE_MS = 16;
/** The largest debt: two of the largest frames. */
const DEBT = 128 * 1024;

/** @see BandwidthLimit in config/options.ts */
interface Limit {
  readonly rate: number;
  readonly burst: number;
}

export class TokenBucket {
  /** Whether anything may pass. */
  isOpen = true;
  /** How often it has opened again. */
  openings = 0;
  /** Whether nothing waits for it to open; kept by whoever knows. */
  isIdle = true;
  /** Bytes in a millisecond. */
  readonly rate: number;
  readonly #capacity: number;
  /** Bytes that have to be there before it opens again. */
  readonly #opening: number;
  #bytes: number;
  #filledAt: number;

  constructor({ rate, burst }: Limit, nowMs: number) {
    this.rate = rate / 1000;
    this.#opening = Math.max(1, this.rate * CLOSED_MS);
    this.#capacity = Math.max(burst, this.#opening, this.rate * LATE_MS);
    this.#bytes = this.#capacity;
    this.#filledAt = nowMs;
  }

  /** Bytes that may pass now without a debt, `most` at most; 0 when nothing may. */
  allowance(most: number): number {
    return this.isOpen ? Math.min(most, Math.ceil(this.#bytes)) : 0;
  }

  /** Counts bytes that have passed. */
  take(bytes: number): void {
    this.#bytes = Math.max(this.#bytes - bytes, -DEBT);
    if (this.#bytes <= 0) this.isOpen = false;
  }

  /** Adds what has come until `nowMs`. Returns true if that opens the bucket. */
  refill(nowMs: number): boolean {
    this.#bytes = Math.min(this.#bytes + (nowMs - this.#filledAt) * this.rate, this.#capacity);
    this.#filledAt = nowMs;
    if (this.isOpen || this.#bytes < this.#opening) return false;
    this.isOpen = true;
    this.openings++;
    return true;
  }

  /** Milliseconds from the last `refill` until the bucket opens, or -1 when it is open. */
  nextDelay(): number {
    return this.isOpen ? -1 : Math.max(0, Math.ceil((this.#opening - this.#bytes) / this.rate));
  }
}
