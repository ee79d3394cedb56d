import { expect, test } from "@jest/globals";
import { isSameProcess, startTime } from "../../../src/runtime/process-info.ts";

test("a process is known by its number and its start", () => {
  const started = startTime(process.pid);
  expect(started).toMatch(/^\d+$/);
  expect(isSameProcess(process.pid, started!)).toBe(true);
  expect(isSameProcess(process.pid, "1")).toBe(false);
});

test("there is no process with a number beyond the limit", () => {
  expect(startTime(4_194_305)).toBeUndefined();
});
