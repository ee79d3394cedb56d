/**
 * One timer for each row of the flow table, on a wheel of levels. A slot of level n is 4^n milliseconds wide and
 * each level has 64 slots; a timer goes into the finest level that reaches its deadline, into the first slot that
 * does not begin before it, and stays there. It never fires early, and late by less than a 15th of its delay.
 *
 * A timer whose deadline moves later usually stays in its slot and is moved when that slot comes due, so that
 * moving it for every packet costs next to nothing.
 */

const LEVELS = 13;
const SLOTS = 64;
const FACTOR = 4;
/** Milliseconds that a slot of each level covers. */
const WIDTHS = Float64Array.from({ length: LEVELS }, (_, level) => FACTOR ** level);
/** The list of timers that `expire` has yet to look at, after the lists of all slots. */
const DUE = LEVELS * SLOTS;

export class TimerWheel {
  /** Row at the head of each list, plus one. Zero is none, here and below, so unused rows cost no memory. */
  readonly #heads: Int32Array = new Int32Array(DUE + 1);
  /** Two words for each level: a bit for each slot that has timers. */
  readonly #occupied: Uint32Array = new Uint32Array(LEVELS * 2);
  /** Neighbours of each row in its list, plus one. */
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** List of each row, plus one; zero while disarmed. */
  readonly #list: Uint16Array;
  readonly #deadlines: Float64Array;
  /** Whole milliseconds; every slot that begins no later has been emptied. */
  #clock: number;

  /**
   * @param capacity rows are 0 to capacity - 1
   * @param nowMs milliseconds of the monotonic clock that all deadlines refer to
   */
  constructor(capacity: number, nowMs: number) {
    this.#next = new Int32Array(capacity);
    this.#previous = new Int32Array(capacity);
    this.#list = new Uint16Array(capacity);
    this.#deadlines = new Float64Array(capacity);
    this.#clock = Math.floor(nowMs);
  }

  /**
   * Sets or moves the timer of a row. The precision is relative to the time given to the last `expire`: call that
   * first whenever the loop has read its clock.
   */
  arm(index: number, deadlineMs: number): void {
    const list = this.#list[index] - 1;
    this.#deadlines[index] = deadlineMs;
    if (list >= 0) {
      if (list !== DUE && this.#beginOf(list) <= deadlineMs) return;
      this.#unlink(index);
    }
    this.#place(index);
  }

  disarm(index: number): void {
    if (this.#list[index] !== 0) this.#unlink(index);
  }

  isArmed(index: number): boolean {
    return this.#list[index] !== 0;
  }

  /** The deadline given to the last `arm` of a row that is armed. */
  deadline(index: number): number {
    return this.#deadlines[index];
  }

  /**
   * Disarms every timer that is due and calls `callback` with its row, in no particular order. The callback may
   * arm and disarm any row; a row armed for a time that has passed fires at the next `expire` of a later time.
   */
  expire(nowMs: number, callback: (index: number) => void): void {
    this.#collect(Math.floor(nowMs));
    for (;;) {
      const index = this.#heads[DUE] - 1;
      if (index < 0) return;
      this.#unlink(index);
      if (this.#deadlines[index] > nowMs) this.#place(index);
      else callback(index);
    }
  }

  /** Whole milliseconds until `expire` has something to do, or -1 when nothing is armed. */
  nextDelay(nowMs: number): number {
    if (this.#heads[DUE] !== 0) return 0;
    let earliest = Infinity;
    for (let level = 0, width = 1; level < LEVELS; level++, width *= FACTOR) {
      const low = this.#occupied[level * 2];
      const high = this.#occupied[level * 2 + 1];
      if ((low | high) === 0) continue;
      const current = Math.floor(this.#clock / width);
      earliest = Math.min(earliest, (current + 1 + firstFrom(low, high, slotOf(current + 1))) * width);
    }
    return earliest === Infinity ? -1 : Math.max(0, Math.ceil(earliest - nowMs));
  }

  /** Moves the timers of all slots that begin at or before `now` to the list DUE. */
  #collect(now: number): void {
    const before = this.#clock;
    if (now <= before) return;
    this.#clock = now;
    for (let level = 0, width = 1; level < LEVELS; level++, width *= FACTOR) {
      const first = Math.floor(before / width) + 1;
      const count = Math.floor(now / width) + 1 - first;
      // Where this level has not advanced, coarser ones have not either.
      if (count === 0) return;
      for (;;) {
        const low = this.#occupied[level * 2];
        const high = this.#occupied[level * 2 + 1];
        if ((low | high) === 0) break;
        const ahead = firstFrom(low, high, slotOf(first));
        if (ahead >= count) break;
        const list = level * SLOTS + slotOf(first + ahead);
        for (let index = this.#heads[list] - 1; index >= 0; index = this.#heads[list] - 1) {
          this.#unlink(index);
          this.#link(index, DUE);
        }
      }
    }
  }

  /** When the slot of a list begins, which is when its timers are looked at. */
  #beginOf(list: number): number {
    const width = WIDTHS[Math.floor(list / SLOTS)];
    const next = Math.floor(this.#clock / width) + 1;
    return (next + slotOf(list - next)) * width;
  }

  /** Links a row into the slot for its deadline. */
  #place(index: number): void {
    const deadline = Math.max(this.#deadlines[index], this.#clock + 1);
    let level = 0;
    let width = 1;
    let slot = Math.ceil(deadline);
    let last = this.#clock + SLOTS;
    while (slot > last && level < LEVELS - 1) {
      level++;
      width *= FACTOR;
      slot = Math.ceil(deadline / width);
      last = Math.floor(this.#clock / width) + SLOTS;
    }
    // Beyond the reach of the wheel a timer takes the last slot, and is placed again from there.
    this.#link(index, level * SLOTS + slotOf(Math.min(slot, last)));
  }

  #link(index: number, list: number): void {
    const head = this.#heads[list];
    this.#next[index] = head;
    this.#previous[index] = 0;
    if (head !== 0) this.#previous[head - 1] = index + 1;
    else if (list !== DUE) this.#occupied[list >>> 5] |= 1 << (list & 31);
    this.#heads[list] = index + 1;
    this.#list[index] = list + 1;
  }

  #unlink(index: number): void {
    const list = this.#list[index] - 1;
    const next = this.#next[index];
    const previous = this.#previous[index];
    if (next !== 0) this.#previous[next - 1] = previous;
    if (previous !== 0) this.#next[previous - 1] = next;
    else {
      this.#heads[list] = next;
      if (next === 0 && list !== DUE) this.#occupied[list >>> 5] &= ~(1 << (list & 31));
    }
    this.#list[index] = 0;
  }
}

/** Steps from bit `start` to the first bit that is set, going up with wrap-around; the 64 bits are not all zero. */
function firstFrom(low: number, high: number, start: number): number {
  const near = start < 32 ? low : high;
  const far = start < 32 ? high : low;
  const shift = start & 31;
  const first = near >>> shift;
  if (first !== 0) return lowestBit(first);
  if (far !== 0) return 32 - shift + lowestBit(far);
  return 64 - shift + lowestBit(near);
}

/** Position of an absolute slot number within its level. The remainder operator is slow beyond int32. */
const slotOf = (slot: number): number => slot - Math.floor(slot / SLOTS) * SLOTS;

const lowestBit = (word: number): number => 31 - Math.clz32(word & -word);
