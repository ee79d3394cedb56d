import { expect, test } from "@jest/globals";
import { RateLimit } from "../../../src/log/rate-limit.ts";

const ask = (limit: RateLimit, times: number, nowMs: number): number =>
  Array.from({ length: times }, () => limit.allow(nowMs)).filter(Boolean).length;

test("so many messages pass in a window, and the rest is counted in the next one", () => {
  const limit = new RateLimit(5, 1000);
  expect(ask(limit, 12, 0)).toBe(5);
  expect(limit.suppressed).toBe(0);
  expect(ask(limit, 3, 999)).toBe(0);
  expect(limit.allow(1000)).toBe(true);
  expect(limit.suppressed).toBe(10);
  expect(limit.allow(1000)).toBe(true);
  expect(limit.suppressed).toBe(0);
});

test("the first message passes whatever the clock shows", () => {
  expect(new RateLimit().allow(0)).toBe(true);
  expect(new RateLimit().allow(1e12)).toBe(true);
});

test("by default five messages pass each minute", () => {
  const limit = new RateLimit();
  expect(ask(limit, 100, 50)).toBe(5);
  expect(ask(limit, 100, 60_049)).toBe(0);
  expect(ask(limit, 100, 60_050)).toBe(5);
});
