import { expect, test } from "@jest/globals";
import { FreeSet } from "../../../src/flow/free-set.ts";

const takeAll = (set: FreeSet): number[] => {
  const rows: number[] = [];
  for (let row = set.takeLowest(); row !== -1; row = set.takeLowest()) rows.push(row);
  return rows;
};

test.each([1, 31, 32, 33, 1023, 1024, 1025, 33_000])(
  "%d rows are given out in order, each once",
  (capacity) => {
    const set = new FreeSet(capacity);
    expect(takeAll(set)).toEqual(Array.from({ length: capacity }, (_, row) => row));
    expect(set.takeLowest()).toBe(-1);
  },
);

test("the lowest row that came back is given out next", () => {
  const set = new FreeSet(40_000);
  takeAll(set);
  for (const row of [39_999, 5, 1024, 31]) set.give(row);
  expect(takeAll(set)).toEqual([5, 31, 1024, 39_999]);
});

test("taken rows are visited in order", () => {
  const set = new FreeSet(100);
  takeAll(set);
  for (let row = 0; row < 100; row++) if (row !== 3 && row !== 64 && row !== 99) set.give(row);
  const visited: number[] = [];
  set.forEachTaken((row) => visited.push(row));
  expect(visited).toEqual([3, 64, 99]);
});
