import { expect, test } from "@jest/globals";
import { Cleanup } from "../../../src/runtime/cleanup.ts";

test("steps are undone last first, and waited for", async () => {
  const done: number[] = [];
  const cleanup = new Cleanup();
  cleanup.add("one", () => done.push(1));
  cleanup.add("two", async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    done.push(2);
  });
  cleanup.add("three", () => done.push(3));
  await cleanup.run();
  expect(done).toEqual([3, 2, 1]);
});

test("a failing step does not keep the others from being undone, and all failures are told", async () => {
  const done: number[] = [];
  const cleanup = new Cleanup();
  cleanup.add("remove a", () => done.push(1));
  cleanup.add("remove b", () => {
    throw new Error("busy");
  });
  cleanup.add("remove c", () => Promise.reject(new Error("gone")));
  await expect(cleanup.run()).rejects.toThrow("cannot remove c: Error: gone; cannot remove b: Error: busy");
  expect(done).toEqual([1]);
});

test("what has run or was kept is not undone again", async () => {
  const done: number[] = [];
  const cleanup = new Cleanup();
  cleanup.add("one", () => done.push(1));
  await cleanup.run();
  cleanup.add("two", () => done.push(2));
  cleanup.keep();
  await cleanup.run();
  expect(done).toEqual([1]);
});
