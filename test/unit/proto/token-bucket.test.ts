import { expect, test } from "@jest/globals";
import { assert, double, integer, property } from "fast-check";
import { TokenBucket } from "../../../src/proto/token-bucket.ts";

const MBIT = 125_000;

/** Bytes that pass in a time when everything that may pass does, in frames of one size, and wake-ups are late. */
function pass(bucket: TokenBucket, frame: number, milliseconds: number, lateMs: number): number {
  let passed = 0;
  for (let now = 0; now < milliseconds; now += Math.max(bucket.nextDelay(), 0) + lateMs) {
    bucket.refill(now);
    while (bucket.isOpen) {
      bucket.take(frame);
      passed += frame;
    }
  }
  return passed;
}

test("a bucket begins full, closes when it is empty, and opens when it is worth a wake-up", () => {
  const bucket = new TokenBucket({ rate: 1_000_000, burst: 20_000 }, 0);
  expect(bucket.allowance(50_000)).toBe(20_000);
  expect(bucket.nextDelay()).toBe(-1);
  bucket.take(20_000);
  expect(bucket.isOpen).toBe(false);
  expect(bucket.allowance(50_000)).toBe(0);
  expect(bucket.nextDelay()).toBe(4);
  expect(bucket.refill(3)).toBe(false);
  expect(bucket.refill(4)).toBe(true);
  expect(bucket.refill(5)).toBe(false);
  expect(bucket.allowance(50_000)).toBe(5000);
  expect(bucket.openings).toBe(1);
});

test("a pause fills it up to the burst and no further", () => {
  const bucket = new TokenBucket({ rate: 1_000_000, burst: 20_000 }, 0);
  bucket.take(20_000);
  bucket.refill(60_000);
  expect(bucket.allowance(1e9)).toBe(20_000);
});

test("a frame larger than the burst passes, and is paid for afterwards", () => {
  const bucket = new TokenBucket({ rate: 1000, burst: 1 }, 0);
  expect(bucket.allowance(65_536)).toBeGreaterThan(0);
  bucket.take(65_536);
  expect(bucket.nextDelay()).toBeGreaterThan(65_000);
  bucket.refill(65_000);
  expect(bucket.isOpen).toBe(false);
  bucket.refill(66_000);
  expect(bucket.isOpen).toBe(true);
});

test("what passes unasked leaves a debt that has an end", () => {
  const bucket = new TokenBucket({ rate: 1_000_000, burst: 20_000 }, 0);
  for (let i = 0; i < 100_000; i++) bucket.take(60);
  expect(bucket.nextDelay()).toBeLessThan(150);
});

test("a burst of 2^32 bits passes at once", () => {
  const bucket = new TokenBucket({ rate: 1, burst: 2 ** 29 }, 0);
  let passed = 0;
  for (; bucket.isOpen; passed += 2 ** 16) bucket.take(2 ** 16);
  expect(passed).toBe(2 ** 29);
});

test("any rate is kept to a few per cent, with frames of any size and wake-ups that are late", () => {
  const rates = integer({ min: MBIT, max: 1000 * MBIT });
  const frames = integer({ min: 1500, max: 65_549 });
  assert(
    property(rates, frames, double({ min: 0.05, max: 10, noNaN: true }), (rate, frame, lateMs) => {
      const passed = pass(new TokenBucket({ rate, burst: 1 }, 0), frame, 2000, lateMs);
      expect(passed).toBeGreaterThan(2 * rate * 0.97 - frame);
      expect(passed).toBeLessThan(2 * rate * 1.03 + 2 * frame);
    }),
    { numRuns: 50 },
  );
});
