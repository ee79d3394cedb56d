import { expect, test } from "@jest/globals";
import { TimerWheel } from "../../../src/flow/timers.ts";

const DAY = 86_400_000;

function firedAt(wheel: TimerWheel, nowMs: number): number[] {
  const fired: number[] = [];
  wheel.expire(nowMs, (index) => fired.push(index));
  return fired.toSorted((a, b) => a - b);
}

const failing = (): void => {
  throw new Error("boom");
};

test("a timer fires once, at its deadline", () => {
  const wheel = new TimerWheel(4, 1000);
  wheel.arm(2, 1040);
  expect(wheel.isArmed(2)).toBe(true);
  expect(wheel.deadline(2)).toBe(1040);
  expect(wheel.nextDelay(1000)).toBe(40);
  expect(firedAt(wheel, 1039)).toEqual([]);
  expect(firedAt(wheel, 1040)).toEqual([2]);
  expect(wheel.isArmed(2)).toBe(false);
  expect(firedAt(wheel, 5000)).toEqual([]);
});

test("nothing armed means no wake-up", () => {
  const wheel = new TimerWheel(4, 0);
  expect(wheel.nextDelay(0)).toBe(-1);
  wheel.arm(1, 50);
  wheel.disarm(1);
  wheel.disarm(1);
  expect(wheel.nextDelay(0)).toBe(-1);
  expect(firedAt(wheel, 1000)).toEqual([]);
});

test("timers that nobody moves cost one wake-up each, whatever their delay", () => {
  const delays = [1, 63, 64, 65, 200, 1000, 4095, 60_000, 7_200_000, DAY, 10 * DAY];
  const wheel = new TimerWheel(delays.length, 12_345);
  delays.forEach((delay, index) => wheel.arm(index, 12_345 + delay));
  let now = 12_345;
  for (const [index, delay] of delays.entries()) {
    now += wheel.nextDelay(now);
    expect(firedAt(wheel, now)).toEqual([index]);
    expect(now - 12_345 - delay).toBeGreaterThanOrEqual(0);
    expect(now - 12_345 - delay).toBeLessThan(delay / 15 + 1);
  }
  expect(wheel.nextDelay(now)).toBe(-1);
});

test("the engine never wakes before the deadline of its only timer", () => {
  for (let delay = 1; delay < 864_000_000; delay = Math.ceil(delay * 1.01)) {
    const wheel = new TimerWheel(1, 12_345);
    wheel.arm(0, 12_345 + delay);
    expect(wheel.nextDelay(12_345)).toBeGreaterThanOrEqual(delay);
  }
});

test("a deadline beyond the reach of the wheel is kept", () => {
  const wheel = new TimerWheel(1, 0);
  wheel.arm(0, 100 * DAY);
  let now = 0;
  let wakeUps = 0;
  while (wheel.isArmed(0)) {
    now += wheel.nextDelay(now);
    wakeUps++;
    wheel.expire(now, () => expect(now).toBeGreaterThanOrEqual(100 * DAY));
  }
  expect(now).toBeLessThan(101 * DAY);
  expect(wakeUps).toBeLessThan(20);
});

test("moving a timer later is honoured, and wakes at most once at the old time", () => {
  const wheel = new TimerWheel(1, 0);
  wheel.arm(0, 1000);
  for (let now = 1; now < 900; now++) {
    expect(firedAt(wheel, now)).toEqual([]);
    wheel.arm(0, now + 1000);
  }
  expect(wheel.deadline(0)).toBe(1899);
  let now = 899;
  let wakeUps = 0;
  while (wheel.isArmed(0)) {
    now += wheel.nextDelay(now);
    wakeUps++;
    wheel.expire(now, () => expect(now).toBeGreaterThanOrEqual(1899));
  }
  expect(now).toBeLessThan(1899 + 68);
  expect(wakeUps).toBe(2);
});

test("moving a timer earlier is honoured", () => {
  const wheel = new TimerWheel(1, 0);
  wheel.arm(0, DAY);
  wheel.arm(0, 10);
  expect(wheel.nextDelay(0)).toBe(10);
  expect(firedAt(wheel, 10)).toEqual([0]);
  expect(wheel.nextDelay(10)).toBe(-1);
});

test("a short delay is exact even where a long one has left the timer in a coarse slot", () => {
  const wheel = new TimerWheel(1, 0);
  wheel.arm(0, 7_200_001);
  wheel.expire(7_200_000, () => undefined);
  wheel.arm(0, 7_200_005);
  expect(wheel.nextDelay(7_200_000)).toBe(5);
});

test("a deadline that has passed fires at the next millisecond, not within the same expire", () => {
  const wheel = new TimerWheel(1, 100);
  wheel.arm(0, 50);
  expect(wheel.nextDelay(100)).toBe(1);
  let calls = 0;
  wheel.expire(101, (index) => {
    calls++;
    wheel.arm(index, 0);
  });
  expect(calls).toBe(1);
  expect(wheel.isArmed(0)).toBe(true);
  expect(firedAt(wheel, 102)).toEqual([0]);
});

test("a callback may disarm and move timers that are due at the same time", () => {
  const wheel = new TimerWheel(3, 0);
  for (const index of [0, 1, 2]) wheel.arm(index, 5);
  const fired: number[] = [];
  wheel.expire(5, (index) => {
    fired.push(index);
    for (const other of [0, 1, 2]) wheel.disarm(other);
    wheel.arm((index + 1) % 3, 5 + 64);
  });
  expect(fired).toHaveLength(1);
  expect(firedAt(wheel, 68)).toEqual([]);
  expect(firedAt(wheel, 69)).toEqual([(fired[0] + 1) % 3]);
});

test("a callback that throws loses no other timer", () => {
  const wheel = new TimerWheel(3, 0);
  for (const index of [0, 1, 2]) wheel.arm(index, 5);
  expect(() => wheel.expire(5, failing)).toThrow("boom");
  expect(wheel.nextDelay(5)).toBe(0);
  expect(firedAt(wheel, 5)).toHaveLength(2);
});

test("a clock that stands still or goes back does no harm", () => {
  const wheel = new TimerWheel(1, 1000);
  wheel.arm(0, 1010);
  expect(firedAt(wheel, 900)).toEqual([]);
  expect(firedAt(wheel, 1000)).toEqual([]);
  expect(firedAt(wheel, 1010)).toEqual([0]);
});

test("a long sleep fires everything that became due meanwhile", () => {
  const wheel = new TimerWheel(1000, 0);
  for (let index = 0; index < 1000; index++) wheel.arm(index, 1 + index * 977);
  expect(firedAt(wheel, 30 * DAY)).toHaveLength(1000);
  expect(wheel.nextDelay(30 * DAY)).toBe(-1);
});
