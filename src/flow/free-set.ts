/**
 * The free rows of a table: a bit for each row, and levels of summary above it, so that taking the lowest
 * free row, giving one back and skipping runs of free rows cost the same however the table is fragmented.
 */
export class FreeSet {
  /** Bit set = row is free. A word of a higher level has a bit for each word below that is not zero. */
  readonly #levels: readonly Uint32Array[];
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
    const levels: Uint32Array[] = [];
    let bits = capacity;
    do {
      const words = new Uint32Array(Math.ceil(bits / 32));
      words.fill(0xffffffff);
      if (bits % 32 !== 0) words[words.length - 1] = 2 ** (bits % 32) - 1;
      levels.push(words);
      bits = words.length;
    } while (bits > 1);
    this.#levels = levels;
  }

  /** Takes the lowest free row, or answers -1. */
  takeLowest(): number {
    const top = this.#levels.length - 1;
    if (this.#levels[top][0] === 0) return -1;
    let index = 0;
    for (let level = top; level >= 0; level--) {
      const word = this.#levels[level][index];
      index = index * 32 + (31 - Math.clz32(word & -word));
    }
    this.#clear(index);
    return index;
  }

  /** Gives a taken row back. */
  give(row: number): void {
    let index = row;
    for (const words of this.#levels) {
      const before = words[index >>> 5];
      words[index >>> 5] = before | (1 << (index & 31));
      if (before !== 0) return;
      index >>>= 5;
    }
  }

  /** Calls `visit` for every row that is taken, in order; whole words of free rows are skipped. */
  forEachTaken(visit: (row: number) => void): void {
    const words = this.#levels[0];
    for (let w = 0; w < words.length; w++) {
      let taken = ~words[w] >>> 0;
      while (taken !== 0) {
        const row = w * 32 + (31 - Math.clz32(taken & -taken));
        if (row >= this.#capacity) return;
        visit(row);
        taken = (taken & (taken - 1)) >>> 0;
      }
    }
  }

  #clear(row: number): void {
    let index = row;
    for (const words of this.#levels) {
      const after = (words[index >>> 5] & ~(1 << (index & 31))) >>> 0;
      words[index >>> 5] = after;
      if (after !== 0) return;
      index >>>= 5;
    }
  }
}
