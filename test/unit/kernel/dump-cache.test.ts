import { expect, test } from "@jest/globals";
import { DumpCache } from "../../../src/kernel/rtnetlink.ts";

test("a message that was there the last time gives the same object, and is forgotten with the table it was in", () => {
  const cache = new DumpCache<number[]>();
  let decodings = 0;
  const decode = (body: Uint8Array): number[] => {
    decodings++;
    return [...body];
  };
  /** As a table is read, from a buffer that is used again. */
  const read = (...bodies: number[][]): (number[] | undefined)[] => {
    const table = bodies.map((body) => cache.get(Uint8Array.from([0, ...body]).subarray(1), decode));
    cache.turn();
    return table;
  };
  const [one, two] = read([1, 200], [2]);
  expect([one, two]).toEqual([[1, 200], [2]]);
  const again = read([2], [1, 200]);
  expect(again[0]).toBe(two);
  expect(again[1]).toBe(one);
  expect(decodings).toBe(2);
  expect(read([2])[0]).toBe(two);
  expect(read([1, 200], [2])[0]).not.toBe(one);
  expect(decodings).toBe(3);
});

test("what nobody understands is not tried again either", () => {
  const cache = new DumpCache<number>();
  let tries = 0;
  const fail = (): undefined => void tries++;
  for (let i = 0; i < 3; i++) {
    expect(cache.get(Uint8Array.of(9), fail)).toBeUndefined();
    cache.turn();
  }
  expect(tries).toBe(1);
});

test("of a very long table the rest is decoded each time", () => {
  const cache = new DumpCache<number>();
  let decodings = 0;
  for (let turn = 0; turn < 2; turn++) {
    for (let i = 0; i < 5_000; i++) cache.get(Uint8Array.of(i >> 8, i), () => decodings++);
    cache.turn();
  }
  expect(decodings).toBe(6_000);
});
