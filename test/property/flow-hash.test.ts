import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { FlowHash } from "../../src/flow/hash.ts";

/** Few tuples and few sides, so that probes collide, wrap around and meet equal tuples. */
const TUPLES = 24;
const tuple = (seed: number): Uint32Array =>
  Uint32Array.of(0, 0, 0xffff, seed & 1, 0, 0, 0xffff, 1, seed >>> 1, 0x602);

const operation = fc.record({
  kind: fc.constantFrom("insert", "insert", "remove", "lookup"),
  side: fc.nat(1000),
  seed: fc.nat(TUPLES - 1),
});

test("the hash agrees with a map under any sequence of insertions, removals and lookups", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 16 }),
      fc.array(fc.nat(0xffffffff), { minLength: 4, maxLength: 4 }),
      fc.array(operation, { maxLength: 200 }),
      (sideCount, secret, operations) => {
        const sides = new Uint32Array(sideCount * 10);
        const hash = new FlowHash(sideCount, sides, Uint32Array.from(secret));
        const model = new Map<number, number>();
        const check = (seed: number): void => {
          const candidates = [...model].filter(([, other]) => other === seed).map(([side]) => side);
          expect(candidates.length === 0 ? [-1] : candidates).toContain(hash.lookup(tuple(seed)));
        };
        for (const { kind, side: any, seed } of operations) {
          const side = any % sideCount;
          if (kind === "lookup") check(seed);
          else if (kind === "remove") {
            hash.remove(side);
            model.delete(side);
            sides.fill(0, side * 10, side * 10 + 10);
          } else if (!model.has(side)) {
            sides.set(tuple(seed), side * 10);
            hash.insert(side);
            model.set(side, seed);
          }
        }
        for (let seed = 0; seed < TUPLES; seed++) check(seed);
      },
    ),
    { numRuns: 500 },
  );
});

test("a table that has been filled and emptied many times is as good as new", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(63), { minLength: 1 }), fc.array(fc.nat(63)), (inserted, removed) => {
      const sides = new Uint32Array(64 * 10);
      for (let side = 0; side < 64; side++) sides.set(tuple(side), side * 10);
      const hash = new FlowHash(64, sides, Uint32Array.of(5, 6, 7, 8));
      const left = new Set<number>();
      for (let round = 0; round < 5; round++) {
        for (const side of inserted) hash.insert(side);
        for (const side of inserted) left.add(side);
        for (const side of removed) hash.remove(side);
        for (const side of removed) left.delete(side);
      }
      for (let side = 0; side < 64; side++) expect(hash.lookup(tuple(side))).toBe(left.has(side) ? side : -1);
    }),
  );
});
