import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { FreeSet } from "../../src/flow/free-set.ts";

test("the set of free rows agrees with a sorted set", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(1024, 1025, 2100)),
      fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant(-1) }, { weight: 1, arbitrary: fc.nat() }), {
        maxLength: 300,
      }),
      (capacity, operations) => {
        const set = new FreeSet(capacity);
        const free = new Set(Array.from({ length: capacity }, (_, row) => row));
        const taken: number[] = [];
        const given: [actual: number, lowest: number][] = [];
        for (const operation of operations) {
          if (operation === -1) {
            const lowest = free.size === 0 ? -1 : Math.min(...free);
            given.push([set.takeLowest(), lowest]);
            if (lowest !== -1) taken.push(lowest);
            free.delete(lowest);
          } else if (taken.length > 0) {
            const [row] = taken.splice(operation % taken.length, 1);
            set.give(row);
            free.add(row);
          }
        }
        expect(given.map(([actual]) => actual)).toEqual(given.map(([, lowest]) => lowest));
        const visited: number[] = [];
        set.forEachTaken((row) => visited.push(row));
        expect(visited).toEqual(taken.toSorted((a, b) => a - b));
      },
    ),
  );
});
