/**
 * Finds a side of a flow by its tuple: open addressing with linear probing downwards, keyed with a secret so
 * that nobody can choose tuples that collide. A side is here from `insert` to `remove`; its tuple must not
 * change meanwhile. Of sides with equal tuples, `lookup` finds one.
 *
 * A small direct-mapped cache of recent answers saves most lookups the keyed hash. It is not keyed: whoever
 * chooses tuples that collide in it only loses the saving.
 */
import { SipHash } from "./siphash.ts";

/** Words of a tuple (see `SideWord` in table.ts). */
const WORDS = 10;
const LOAD = 0.7;
const CACHE_BITS = 10;
/** Probes for any side with the tuple in question. Sides are not negative. */
const ANY = -2;
const NONE = -1;

export class FlowHash {
  /** The 64-bit hash of the last `insert`, as two unsigned halves. */
  low = 0;
  high = 0;

  readonly #sides: Uint32Array;
  readonly #sip: SipHash;
  /** The side in each bucket, plus one. Zero is empty, so that buckets never used cost no memory. */
  readonly #buckets: Int32Array;
  /** The bucket where the probe for each side begins, plus one; zero while the side is not inserted. */
  readonly #homes: Int32Array;
  /** Sides that were looked up, plus one. Checked when used, therefore never cleared. */
  readonly #recent: Int32Array = new Int32Array(1 << CACHE_BITS);

  /**
   * @param sideCount sides are 0 to sideCount - 1
   * @param sides ten words for each side, owned by the flow table
   * @param secret four random words
   */
  constructor(sideCount: number, sides: Uint32Array, secret: Uint32Array) {
    this.#sides = sides;
    this.#sip = new SipHash(secret);
    // Never full: a probe ends at an empty bucket.
    this.#buckets = new Int32Array(Math.max(Math.floor(sideCount / LOAD), sideCount + 1));
    this.#homes = new Int32Array(sideCount);
  }

  /** Makes a side findable and leaves its hash in `low` and `high`. */
  insert(side: number): void {
    this.remove(side);
    const home = this.#home(this.#sides, side * WORDS);
    this.low = this.#sip.low;
    this.high = this.#sip.high;
    this.#buckets[this.#probe(home, side, this.#sides)] = side + 1;
    this.#homes[side] = home + 1;
  }

  /** Forgets a side; nothing happens when it is not inserted. Knuth, volume 3, section 6.4, algorithm R. */
  remove(side: number): void {
    const buckets = this.#buckets;
    const homes = this.#homes;
    const home = homes[side] - 1;
    if (home === NONE) return;
    homes[side] = 0;

    const size = buckets.length;
    let vacant = this.#probe(home, side, this.#sides);
    let at = vacant;
    for (;;) {
      at = at === 0 ? size - 1 : at - 1;
      const candidate = buckets[at] - 1;
      if (candidate === NONE) break;
      // A probe goes down from its home: one that begins below the vacant bucket never comes by there.
      const belowVacant = (vacant - homes[candidate] + 1 + size) % size;
      const beyond = (vacant - at + size) % size;
      if (belowVacant !== 0 && belowVacant <= beyond) continue;
      buckets[vacant] = candidate + 1;
      vacant = at;
    }
    buckets[vacant] = 0;
  }

  /** The side whose tuple equals the ten words of `key`, or -1. */
  lookup(key: Uint32Array): number {
    // Last words of both addresses, and the ports: what differs between flows of one container.
    const mixed = Math.imul(key[3] ^ (key[7] << 7) ^ key[8] ^ key[9], 0x9e3779b1);
    const slot = mixed >>> (32 - CACHE_BITS);
    const recent = this.#recent[slot] - 1;
    if (recent !== NONE && this.#homes[recent] !== 0 && this.#matches(recent, key)) return recent;

    const side = this.#buckets[this.#probe(this.#home(key, 0), ANY, key)] - 1;
    if (side !== NONE) this.#recent[slot] = side + 1;
    return side;
  }

  /**
   * The one walk that insertion, lookup and removal share: from `home` down to the bucket that holds `wanted`,
   * or for ANY a side with the tuple in `key`, or else to the first empty bucket.
   */
  #probe(home: number, wanted: number, key: Uint32Array): number {
    const buckets = this.#buckets;
    let bucket = home;
    for (;;) {
      const side = buckets[bucket] - 1;
      if (side === NONE || side === wanted) return bucket;
      if (wanted === ANY && this.#homes[side] === home + 1 && this.#matches(side, key)) return bucket;
      bucket = bucket === 0 ? buckets.length - 1 : bucket - 1;
    }
  }

  #home(words: Uint32Array, at: number): number {
    this.#sip.digest(words, at, WORDS);
    return this.#sip.low % this.#buckets.length;
  }

  #matches(side: number, key: Uint32Array): boolean {
    const sides = this.#sides;
    const at = side * WORDS;
    for (let i = WORDS - 1; i >= 0; i--) if (sides[at + i] !== key[i]) return false;
    return true;
  }
}
