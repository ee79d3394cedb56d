import { expect, test } from "@jest/globals";
import { SipHash } from "../../../src/flow/siphash.ts";

/** Published results for SipHash-2-4-64: key 00 01 .. 0f, message 00 01 .. of the given length. */
const VECTORS: readonly (readonly [length: number, result: string])[] = [
  [0, "310e0edd47db6f72"],
  [4, "b7877127e09427cf"],
  [8, "6224939a79f5f593"],
  [12, "fbe50e86bc8f1e75"],
  [16, "db9bc2577fcc2a3f"],
  [20, "98eea21af25cd6be"],
  [24, "94af49f6c650adb8"],
  [28, "a5c91da7acaa4dde"],
  [32, "ce7cf2722f512771"],
  [36, "b4a31508beff4d31"],
  [40, "d0a704536ba93e0e"],
  [44, "f21df2e41d4535f9"],
  [48, "51a9cb9ecba312e6"],
  [52, "b274cb8ebf87870a"],
  [56, "bd838d3aafbf8db7"],
  [60, "e1915f5cb1eca46c"],
];

const counting = (length: number): Uint32Array<ArrayBuffer> => {
  const words = new Uint32Array(length / 4);
  new Uint8Array(words.buffer).forEach((_, i, bytes) => (bytes[i] = i));
  return words;
};

const hex = (sip: SipHash): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(sip.low, 0);
  bytes.writeUInt32LE(sip.high, 4);
  return bytes.toString("hex");
};

test.each(VECTORS)("a message of %d bytes has the published hash", (length, result) => {
  const sip = new SipHash(counting(16));
  sip.digest(counting(length), 0, length / 4);
  expect(hex(sip)).toBe(result);
});

test("the hash covers the words asked for and no others", () => {
  const sip = new SipHash(counting(16));
  sip.digest(Uint32Array.of(7, 7, 7, ...counting(40), 9), 3, 10);
  expect(hex(sip)).toBe("d0a704536ba93e0e");
});

test("the key is not changed by hashing, so that the same tuple always has the same hash", () => {
  const key = counting(16);
  const sip = new SipHash(key);
  sip.digest(counting(40), 0, 10);
  sip.digest(counting(40), 0, 10);
  expect(hex(sip)).toBe("d0a704536ba93e0e");
  expect(key).toEqual(counting(16));
});
