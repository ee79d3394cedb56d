/**
 * SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, 2012), over whole 32-bit words. 64-bit quantities
 * are pairs of int32, because BigInt allocates.
 */

/** Rounds for each pair of words, and at the end. */
const COMPRESSION = 2;
const FINALIZATION = 4;

export class SipHash {
  /** The result of the last `digest`: its less and its more significant half, unsigned. */
  low = 0;
  high = 0;
  readonly #key: Uint32Array;

  /** @param key 128 bits as four words, the least significant first */
  constructor(key: Uint32Array) {
    this.#key = key;
  }

  /** Hashes `count` words from `words[at]`, taken as little-endian bytes; the result is in `low` and `high`. */
  digest(words: Uint32Array, at: number, count: number): void {
    const key = this.#key;
    let v0 = key[0] ^ 0x70736575;
    let v0h = key[1] ^ 0x736f6d65;
    let v1 = key[2] ^ 0x6e646f6d;
    let v1h = key[3] ^ 0x646f7261;
    let v2 = key[0] ^ 0x6e657261;
    let v2h = key[1] ^ 0x6c796765;
    let v3 = key[2] ^ 0x79746573;
    let v3h = key[3] ^ 0x74656462;

    const end = at + count;
    const pairs = (count >>> 1) + 1;
    for (let pair = 0, next = at; pair <= pairs; pair++, next += 2) {
      let m = 0;
      let mh = 0;
      let rounds = COMPRESSION;
      if (pair === pairs) {
        v2 ^= 0xff;
        rounds = FINALIZATION;
      } else {
        // The last pair holds the odd word, if there is one, and the length in bytes on top.
        if (next < end) m = words[next];
        mh = pair === pairs - 1 ? count << 26 : words[next + 1];
      }
      v3 ^= m;
      v3h ^= mh;
      for (let round = 0; round < rounds; round++) {
        // Sums carry when the unsigned low half wraps. Rotations by 32 are a swap of halves.
        let sum = (v0 + v1) | 0;
        v0h = (v0h + v1h + (sum >>> 0 < v0 >>> 0 ? 1 : 0)) | 0;
        let swap = sum ^ ((v1 << 13) | (v1h >>> 19));
        v1h = v0h ^ ((v1h << 13) | (v1 >>> 19));
        v1 = swap;
        v0 = v0h;
        v0h = sum;

        sum = (v2 + v3) | 0;
        v2h = (v2h + v3h + (sum >>> 0 < v2 >>> 0 ? 1 : 0)) | 0;
        swap = sum ^ ((v3 << 16) | (v3h >>> 16));
        v3h = v2h ^ ((v3h << 16) | (v3 >>> 16));
        v3 = swap;
        v2 = sum;

        sum = (v0 + v3) | 0;
        v0h = (v0h + v3h + (sum >>> 0 < v0 >>> 0 ? 1 : 0)) | 0;
        swap = sum ^ ((v3 << 21) | (v3h >>> 11));
        v3h = v0h ^ ((v3h << 21) | (v3 >>> 11));
        v3 = swap;
        v0 = sum;

        sum = (v2 + v1) | 0;
        v2h = (v2h + v1h + (sum >>> 0 < v2 >>> 0 ? 1 : 0)) | 0;
        swap = sum ^ ((v1 << 17) | (v1h >>> 15));
        v1h = v2h ^ ((v1h << 17) | (v1 >>> 15));
        v1 = swap;
        v2 = v2h;
        v2h = sum;
      }
      v0 ^= m;
      v0h ^= mh;
    }
    this.low = (v0 ^ v1 ^ v2 ^ v3) >>> 0;
    this.high = (v0h ^ v1h ^ v2h ^ v3h) >>> 0;
  }
}
