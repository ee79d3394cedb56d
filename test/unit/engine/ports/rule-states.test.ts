import { expect, test } from "@jest/globals";
import type { PortRuleOptions } from "../../../../src/config/options.ts";
import { changeRules, isRetried, stateOf } from "../../../../src/engine/ports/rule-states.ts";

const BOTH = { ipv4: true, ipv6: true };

function rule(first: number, last = first, more: Partial<PortRuleOptions> = {}): PortRuleOptions {
  return { side: "host", protocol: "tcp", first, last, targetFirst: first, ...more };
}

const options = (states: ReturnType<typeof changeRules>): PortRuleOptions[] =>
  states.map((state) => state.options);

test("rules are added behind those there are, which stay the same objects", () => {
  const before = changeRules([], "set", [rule(80), rule(443)], BOTH);
  const after = changeRules(before, "add", [rule(8080)], BOTH);
  expect(options(after)).toEqual([rule(80), rule(443), rule(8080)]);
  expect(after.slice(0, 2)).toEqual(before);
  expect(after[0]).toBe(before[0]);
});

test("a set keeps the rules that mean the same, however their addresses are written", () => {
  const before = changeRules([], "set", [rule(80, 90, { address: "2001:db8::1" }), rule(443)], BOTH);
  const after = changeRules(before, "set", [rule(80, 90, { address: "2001:0db8::0001" }), rule(444)], BOTH);
  expect(after[0]).toBe(before[0]);
  expect(options(after)[1]).toEqual(rule(444));
});

test.each<[string, PortRuleOptions]>([
  ["ports", rule(80, 91)],
  ["protocol", rule(80, 90, { protocol: "udp" })],
  ["side", rule(80, 90, { side: "container" })],
  ["address", rule(80, 90, { address: "192.0.2.1" })],
  ["interface", rule(80, 90, { interface: "eth0" })],
  ["target", rule(80, 90, { targetAddress: "192.0.2.1" })],
  ["target ports", rule(80, 90, { targetFirst: 81 })],
  ["flags", rule(80, 90, { weak: true })],
  ["automation", rule(80, 90, { scan: true })],
])("a rule that differs in its %s is another one", (_what, other) => {
  const before = changeRules([], "set", [rule(80, 90)], BOTH);
  expect(changeRules(before, "set", [other], BOTH)[0]).not.toBe(before[0]);
  expect(() => changeRules(before, "del", [other], BOTH)).toThrow(/there is no rule/);
});

test("an equal rule is deleted, and one of two families by the name of one when there is only that", () => {
  const before = changeRules([], "set", [rule(80), rule(443)], BOTH);
  expect(changeRules(before, "del", [rule(80)], BOTH)).toEqual([before[1]]);
  const v4 = { ipv4: true, ipv6: false };
  const only4 = changeRules([], "set", [rule(80)], v4);
  expect(changeRules(only4, "del", [rule(80, 80, { address: "0.0.0.0" })], v4)).toEqual([]);
});

test("what overlaps is refused", () => {
  const before = changeRules([], "set", [rule(80, 90)], BOTH);
  expect(() => changeRules(before, "add", [rule(85)], BOTH)).toThrow(/overlaps/);
  expect(() => changeRules(before, "del", [rule(85)], BOTH)).toThrow("there is no rule -t 85;");
});

test.each([
  [{}, 1, "", "listening"],
  [{}, 0, "192.0.2.1", "waiting"],
  [{ scan: true } as const, 0, "", "waiting"],
  // Given to us by somebody else.
  [{}, 1, "192.0.2.1", "listening"],
])("%o with %i open ports, which waits for '%s', is %s", (more, open, waitsFor, state) => {
  const [rule80] = changeRules([], "set", [rule(80, 81, more)], BOTH);
  expect(stateOf(rule80, open, waitsFor)).toBe(state);
});

test("a port that cannot be had is told, and tried again unless it need not be", () => {
  const states = [{}, { weak: true }, { weak: true, scan: true }] as const;
  const rules = states.map((more) => changeRules([], "set", [rule(80, 81, more)], BOTH)[0]);
  expect(rules.map(isRetried)).toEqual([false, false, false]);
  for (const { failures } of rules) failures.set(80, 98);
  expect(rules.map((each) => [stateOf(each, 0, ""), stateOf(each, 1, "")])).toEqual(
    rules.map(() => ["failed", "partial"]),
  );
  expect(rules.map(isRetried)).toEqual([true, false, true]);
});
