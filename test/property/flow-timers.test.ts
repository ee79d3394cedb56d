import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { assert } from "../../src/base/assert.ts";
import { TimerWheel } from "../../src/flow/timers.ts";

const ROWS = 12;
const TEN_DAYS = 864_000_000;
/** Delays of every magnitude, and some deadlines that have passed; with fractions of a millisecond. */
const delay = fc.oneof(
  fc.integer({ min: -50, max: 200 }),
  fc
    .double({ min: 0, max: Math.log2(TEN_DAYS), noNaN: true })
    .map((exponent) => Math.min(2 ** exponent, TEN_DAYS)),
);
const step = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100 }), delay.map(Math.abs));

const operation = fc.oneof(
  fc.record({ kind: fc.constant("arm" as const), index: fc.nat(ROWS - 1), delay }),
  fc.record({ kind: fc.constant("disarm" as const), index: fc.nat(ROWS - 1), delay: fc.constant(0) }),
  fc.record({ kind: fc.constant("wait" as const), index: fc.constant(0), delay: step }),
  fc.record({ kind: fc.constant("sleep" as const), index: fc.constant(0), delay: fc.constant(0) }),
);

/** A wheel beside a plain map of what is armed, checked after every move of the clock. */
class Pair {
  readonly armed = new Map<number, { deadline: number; since: number }>();
  readonly wheel: TimerWheel;
  now: number;

  constructor(start: number) {
    this.now = start;
    this.wheel = new TimerWheel(ROWS, start);
  }

  arm(index: number, delayMs: number): void {
    this.wheel.arm(index, this.now + delayMs);
    this.armed.set(index, { deadline: this.now + delayMs, since: this.now });
  }

  disarm(index: number): void {
    this.wheel.disarm(index);
    this.armed.delete(index);
  }

  advance(now: number, onFire: (index: number) => void): void {
    this.now = now;
    this.wheel.expire(now, (index) => {
      const timer = this.armed.get(index);
      assert(timer !== undefined, `timer ${index} fired without being armed`);
      assert(timer.deadline <= now, `timer ${index} was early`);
      assert(!this.wheel.isArmed(index), `timer ${index} is still armed`);
      this.armed.delete(index);
      onFire(index);
    });
    for (const [index, { deadline, since }] of this.armed) {
      assert(this.wheel.isArmed(index), `timer ${index} is lost`);
      assert(this.wheel.deadline(index) === deadline, `timer ${index} forgot its deadline`);
      const latest = Math.max(since, deadline) + Math.max(0, deadline - since) / 8 + 1;
      assert(now < latest, `timer ${index} is late`);
    }
    const next = this.wheel.nextDelay(now);
    assert(this.armed.size === 0 ? next === -1 : next >= 1, `next delay ${next}`);
  }

  /** Sleeps as the engine does; the deadline that comes first bounds the sleep. */
  sleep(onFire: (index: number) => void): void {
    const next = this.wheel.nextDelay(this.now);
    if (next !== -1) this.advance(this.now + next, onFire);
  }
}

const start = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 2 ** 42 }),
  fc.double({ min: 0, max: 1e12, noNaN: true }),
);

test("no timer is early, late by more than an eighth of its delay, lost, or fired twice", () => {
  fc.assert(
    fc.property(
      start,
      fc.array(operation, { maxLength: 100 }),
      fc.array(operation, { maxLength: 10 }),
      (begin, operations, reactions) => {
        const pair = new Pair(begin);
        const pending = [...reactions];
        // What a callback does to any timer, its own included, while others are still due.
        const onFire = (): void => {
          const reaction = pending.pop();
          if (reaction?.kind === "arm") pair.arm(reaction.index, reaction.delay);
          else if (reaction?.kind === "disarm") pair.disarm(reaction.index);
        };
        for (const { kind, index, delay: ms } of operations) {
          if (kind === "arm") pair.arm(index, ms);
          else if (kind === "disarm") pair.disarm(index);
          else if (kind === "wait") pair.advance(pair.now + ms, onFire);
          else pair.sleep(onFire);
        }
        for (let wakeUps = 0; pair.armed.size > 0; wakeUps++) {
          expect(wakeUps).toBeLessThan(4 * ROWS + reactions.length);
          pair.sleep(onFire);
        }
        expect(pair.wheel.nextDelay(pair.now)).toBe(-1);
      },
    ),
    { numRuns: 1000 },
  );
});
