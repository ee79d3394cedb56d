import { expect, test } from "@jest/globals";
import type { Log } from "../../../src/log/logger.ts";
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

test("a warning tells how many were withheld before it, and has a field if one is named", () => {
  const lines: unknown[] = [];
  const note = (message: string, fields?: unknown): void => void lines.push([message, fields]);
  const log: Log = {
    traceOn: false,
    debugOn: false,
    error: note,
    warn: note,
    info: note,
    debug: note,
    trace: note,
  };
  const limit = new RateLimit(1, 1000);
  limit.warn(log, 0, "full", "port", 80);
  limit.warn(log, 1, "full", "port", 81);
  limit.warn(log, 1000, "full", "port", 82);
  limit.warn(log, 2000, "empty");
  expect(lines).toEqual([
    ["full", { port: 80 }],
    ["full", { port: 82, suppressed: 1 }],
    ["empty", {}],
  ]);
});
