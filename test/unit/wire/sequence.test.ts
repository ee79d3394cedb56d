import { expect, test } from "@jest/globals";
import { seqAdd, seqDiff, seqGe, seqGt, seqLe, seqLt } from "../../../src/wire/sequence.ts";

test("addition wraps both ways", () => {
  expect(seqAdd(0xffffffff, 1)).toBe(0);
  expect(seqAdd(0xfffffff0, 0x20)).toBe(0x10);
  expect(seqAdd(0, -1)).toBe(0xffffffff);
});

test("the distance is signed and crosses the wrap", () => {
  expect(seqDiff(5, 3)).toBe(2);
  expect(seqDiff(3, 5)).toBe(-2);
  expect(seqDiff(1, 0xffffffff)).toBe(2);
  expect(seqDiff(0xffffffff, 1)).toBe(-2);
  expect(seqDiff(0x7fffffff, 0)).toBe(0x7fffffff);
});

test.each([
  [1, 1, 0],
  [1, 2, -1],
  [2, 1, 1],
  [0xffffffff, 0, -1],
  [0, 0xffffffff, 1],
  [0x7fffffff, 0x80000000, -1],
])("%i and %i compare as %i", (a, b, order) => {
  expect([seqLt(a, b), seqLe(a, b), seqGt(a, b), seqGe(a, b)]).toEqual([
    order < 0,
    order <= 0,
    order > 0,
    order >= 0,
  ]);
});
