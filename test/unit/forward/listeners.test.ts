import { expect, test } from "@jest/globals";
import { Pif } from "../../../src/flow/state.ts";
import { Listeners } from "../../../src/forward/listeners.ts";
import type { PortRule } from "../../../src/forward/port-rule.ts";
import { IpProtocol } from "../../../src/wire/ipv4.ts";

const rule: PortRule = {
  pif: Pif.Host,
  protocol: IpProtocol.Udp,
  listen: undefined,
  device: undefined,
  first: 53,
  last: 54,
  target: undefined,
  targetFirst: 53,
  weak: false,
  scan: false,
};

/** Listeners and the descriptors that they have closed. */
function setUp(): { listeners: Listeners; closed: number[] } {
  const closed: number[] = [];
  return { listeners: new Listeners((fd) => void closed.push(fd)), closed };
}

test("a listener without users is closed at once, and its slot is used again", () => {
  const { listeners, closed } = setUp();
  const [first, second] = [listeners.add(10, 53, rule), listeners.add(11, 54, rule)];
  listeners.retire(first);
  expect(closed).toEqual([10]);
  expect([listeners.fd(first), listeners.port(first), listeners.protocol(first)]).toEqual([-1, 0, 0]);
  expect(listeners.add(12, 55, rule)).toBe(first);
  expect([listeners.fd(first), listeners.fd(second)]).toEqual([12, 11]);
});

test("one with users is closed when the last has gone, unless it got a rule again", () => {
  const { listeners, closed } = setUp();
  const slot = listeners.add(10, 53, rule);
  listeners.use(slot);
  listeners.retire(slot);
  expect([listeners.fd(slot), listeners.rule(slot), listeners.users(slot)]).toEqual([10, undefined, 1]);
  listeners.setRule(slot, rule);
  listeners.release(slot);
  expect([closed, listeners.rule(slot)]).toEqual([[], rule]);
  listeners.use(slot);
  listeners.retire(slot);
  listeners.release(slot);
  expect(closed).toEqual([10]);
});

test("whoever wants to know is told before a socket is closed", () => {
  const { listeners, closed } = setUp();
  const told: unknown[] = [];
  listeners.onClose = (slot) => told.push([slot, listeners.port(slot), listeners.fd(slot), closed.length]);
  const slot = listeners.add(10, 53, rule);
  listeners.use(slot);
  listeners.retire(slot);
  expect(told).toEqual([]);
  listeners.release(slot);
  expect(told).toEqual([[slot, 53, 10, 0]]);
});
