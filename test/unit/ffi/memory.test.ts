import { expect, test } from "@jest/globals";
import { allocate, getWord, setWord } from "../../../src/ffi/memory.ts";

test("memory is zeroed, page-aligned, whole pages, and its views are of the same bytes", () => {
  const arena = allocate(5000);
  expect(arena.address % 4096).toBe(0);
  expect(arena.address).toBeGreaterThan(0);
  expect(arena.bytes).toHaveLength(8192);
  expect(arena.bytes.every((byte) => byte === 0)).toBe(true);
  arena.view.setUint8(8191, 7);
  expect(arena.bytes[8191]).toBe(7);
});

test("two blocks do not overlap", () => {
  const [a, b] = [allocate(4096), allocate(4096)];
  expect(Math.abs(a.address - b.address)).toBeGreaterThanOrEqual(4096);
});

test("words of up to 53 bits return as they were written, little-endian", () => {
  const { view, bytes } = allocate(16);
  for (const value of [0, 1, 0xffff_ffff, 0x1_0000_0000, 0x7fff_1234_5678, Number.MAX_SAFE_INTEGER]) {
    setWord(view, 8, value);
    expect(getWord(view, 8)).toBe(value);
  }
  setWord(view, 0, 0x0102_0304_0506);
  expect([...bytes.subarray(0, 8)]).toEqual([6, 5, 4, 3, 2, 1, 0, 0]);
});

test("addresses are small integers, so that passing them allocates nothing", () => {
  const arena = allocate(1 << 20);
  expect(arena.address + arena.bytes.length).toBeLessThan(2 ** 31);
});
