import { expect, test } from "@jest/globals";
import { FlowHash } from "../../../src/flow/hash.ts";
import { SipHash } from "../../../src/flow/siphash.ts";

const SECRET = Uint32Array.of(1, 2, 3, 4);
const tuple = (seed: number): Uint32Array =>
  Uint32Array.of(0, 0, 0xffff, 0xcb007101, 0, 0, 0xffff, 0xc6336402, seed, 0x602);

function filled(sideCount: number): { sides: Uint32Array; hash: FlowHash } {
  const sides = new Uint32Array(sideCount * 10);
  for (let side = 0; side < sideCount; side++) sides.set(tuple(side), side * 10);
  return { sides, hash: new FlowHash(sideCount, sides, SECRET) };
}

test("an inserted side is found by its tuple until it is removed", () => {
  const { hash } = filled(4);
  expect(hash.lookup(tuple(2))).toBe(-1);
  hash.insert(2);
  expect(hash.lookup(tuple(2))).toBe(2);
  expect(hash.lookup(tuple(1))).toBe(-1);
  hash.remove(2);
  expect(hash.lookup(tuple(2))).toBe(-1);
});

test("a full table finds every side and ends the search for a stranger", () => {
  for (const sideCount of [1, 2, 3, 4, 64]) {
    const { hash } = filled(sideCount);
    for (let side = 0; side < sideCount; side++) hash.insert(side);
    for (let side = 0; side < sideCount; side++) expect(hash.lookup(tuple(side))).toBe(side);
    expect(hash.lookup(tuple(sideCount))).toBe(-1);
  }
});

test("every word of the tuple counts, also for a tuple that was just found", () => {
  const { hash } = filled(1);
  hash.insert(0);
  for (let word = 0; word < 10; word++) {
    for (let bit = 0; bit < 32; bit++) {
      expect(hash.lookup(tuple(0))).toBe(0);
      const other = tuple(0);
      other[word] ^= 1 << bit;
      expect(hash.lookup(other)).toBe(-1);
    }
  }
});

test("removing a side that is not inserted changes nothing", () => {
  const { hash } = filled(4);
  hash.insert(1);
  hash.remove(0);
  hash.remove(3);
  hash.remove(3);
  expect(hash.lookup(tuple(1))).toBe(1);
});

test("inserting a side again keeps one entry, with the present tuple", () => {
  const { sides, hash } = filled(2);
  hash.insert(0);
  hash.insert(0);
  sides.set(tuple(77), 0);
  hash.insert(0);
  expect(hash.lookup(tuple(77))).toBe(0);
  hash.remove(0);
  expect(hash.lookup(tuple(77))).toBe(-1);
  expect(hash.lookup(tuple(0))).toBe(-1);
});

test("a side whose tuple changes between insertions leaves nothing behind", () => {
  const { sides, hash } = filled(2);
  for (let seed = 0; seed < 50; seed++) {
    sides.set(tuple(seed), 0);
    hash.insert(0);
  }
  // Buckets left behind would fill the table, and this search would not end.
  expect(hash.lookup(tuple(99))).toBe(-1);
  expect(hash.lookup(tuple(49))).toBe(0);
});

test("a removed side that was looked up often is not remembered for a row of zeros", () => {
  const { sides, hash } = filled(2);
  hash.insert(0);
  hash.lookup(tuple(0));
  hash.remove(0);
  expect(hash.lookup(tuple(0))).toBe(-1);
  sides.fill(0);
  expect(hash.lookup(new Uint32Array(10))).toBe(-1);
});

test("of two sides with one tuple the other one is found when the first is gone", () => {
  const { sides, hash } = filled(2);
  sides.set(tuple(0), 10);
  hash.insert(0);
  hash.insert(1);
  expect(hash.lookup(tuple(0))).toBe(0);
  hash.remove(0);
  expect(hash.lookup(tuple(0))).toBe(1);
});

test("insert leaves the keyed hash of the tuple, which lookups do not disturb", () => {
  const { hash } = filled(2);
  const sip = new SipHash(SECRET);
  sip.digest(tuple(1), 0, 10);
  hash.insert(1);
  hash.lookup(tuple(5));
  expect([hash.low, hash.high]).toEqual([sip.low, sip.high]);
});
