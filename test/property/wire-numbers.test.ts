/** Checksums against a plain computation, and the order of sequence numbers. */
import { describe, expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { checksum, fold, pseudo4, pseudo6, sumBytes } from "../../src/wire/checksum.ts";
import { seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt } from "../../src/wire/sequence.ts";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const words = fc.tuple(u32, u32, u32, u32).map((four) => Uint32Array.from(four));

/** RFC 1071 word by word, with the carry added at once. */
function oracle(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i] * 256 + (i + 1 < bytes.length ? bytes[i + 1] : 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}
const bytesAnd = <T>(other: fc.Arbitrary<T>) => [fc.uint8Array({ maxLength: 300 }), other] as const;

describe("checksums", () => {
  test("the sum is that of the words, at any offset", () => {
    fc.assert(
      fc.property(...bytesAnd(fc.nat({ max: 9 })), (bytes, at) => {
        const view = new DataView(Uint8Array.from([...Array<number>(at).fill(0x5a), ...bytes, 0x5a]).buffer);
        expect(fold(sumBytes(view, at, bytes.length))).toBe(oracle(bytes));
        expect(checksum(sumBytes(view, at, bytes.length))).toBe(0xffff - oracle(bytes));
      }),
    );
  });

  test("partial sums add up, wherever the bytes are split at an even place", () => {
    fc.assert(
      fc.property(...bytesAnd(fc.array(fc.nat({ max: 150 }), { maxLength: 4 })), (bytes, places) => {
        const view = new DataView(bytes.slice().buffer);
        const splits = [...new Set(places.map((half) => 2 * half))].filter((at) => at < bytes.length);
        const edges = [0, ...splits.toSorted((a, b) => a - b), bytes.length];
        let sum = 0;
        for (let i = 1; i < edges.length; i++)
          sum = sumBytes(view, edges[i - 1], edges[i] - edges[i - 1], sum);
        expect(fold(sum)).toBe(oracle(bytes));
      }),
    );
  });

  test("storing the checksum makes the sum 0xffff", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 100 }), (bytes) => {
        const view = new DataView(bytes.slice().buffer);
        view.setUint16(0, 0);
        view.setUint16(0, checksum(sumBytes(view, 0, bytes.length)));
        expect(fold(sumBytes(view, 0, bytes.length))).toBe(0xffff);
      }),
    );
  });

  test("a pseudo-header is the sum of its bytes", () => {
    fc.assert(
      fc.property(u32, u32, u8, u16, words, words, (source, destination, protocol, length, a, b) => {
        const header = new DataView(new ArrayBuffer(12));
        header.setUint32(0, source);
        header.setUint32(4, destination);
        header.setUint16(8, protocol);
        header.setUint16(10, length);
        expect(fold(pseudo4(source, destination, protocol, length))).toBe(
          oracle(new Uint8Array(header.buffer)),
        );
        const header6 = new DataView(new ArrayBuffer(40));
        for (let i = 0; i < 4; i++) {
          header6.setUint32(4 * i, a[i]);
          header6.setUint32(16 + 4 * i, b[i]);
        }
        header6.setUint32(32, length);
        header6.setUint32(36, protocol);
        expect(fold(pseudo6(header6, 0, 16, protocol, length))).toBe(oracle(new Uint8Array(header6.buffer)));
      }),
    );
  });
});

describe("sequence numbers", () => {
  const near = fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 });

  test("the order is that of the distance, wherever the numbers wrap", () => {
    fc.assert(
      fc.property(u32, near, (a, distance) => {
        const b = seqAdd(a, distance);
        expect(seqDiff(b, a)).toBe(distance);
        expect([seqLt(a, b), seqLe(a, b), seqGt(a, b), seqGe(a, b)]).toEqual([
          distance > 0,
          distance >= 0,
          distance < 0,
          distance <= 0,
        ]);
      }),
    );
  });

  test("additions can be taken together", () => {
    fc.assert(
      fc.property(u32, near, near, (a, n, m) => {
        expect(seqAdd(seqAdd(a, n), m)).toBe(seqAdd(a, n + m));
      }),
    );
  });
});
