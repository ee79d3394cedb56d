import { expect, test } from "@jest/globals";
import { formatIp, ipv4Words } from "../../../src/base/address.ts";
import { AppError } from "../../../src/base/errors.ts";
import { PORT_RULES_MAX, type PortRuleOptions } from "../../../src/config/options.ts";
import { toPortRules } from "../../../src/engine/ports/rules-from-options.ts";
import { checkLoops, type Families } from "../../../src/forward/port-rules.ts";
import { Pif } from "../../../src/flow/state.ts";

const BOTH = { ipv4: true, ipv6: true };

function rule(first: number, last = first, more: Partial<PortRuleOptions> = {}): PortRuleOptions {
  return { side: "host", protocol: "tcp", first, last, targetFirst: first, ...more };
}

/** What is wrong with rules; empty when nothing is. */
const problem = (...rules: PortRuleOptions[]): string => problemWith(BOTH, ...rules);

function problemWith(families: Families, ...rules: PortRuleOptions[]): string {
  try {
    toPortRules(rules, families);
    return "";
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "USAGE") throw error;
    return error.message;
  }
}

test("a rule keeps what it says", () => {
  const options = rule(80, 90, { address: "192.0.2.1", interface: "eth0", targetFirst: 8080, weak: true });
  const [result] = toPortRules([options], BOTH);
  expect(result).toEqual({
    pif: Pif.Host,
    protocol: 6,
    listen: ipv4Words(0xc0000201),
    device: "eth0",
    first: 80,
    last: 90,
    target: undefined,
    targetFirst: 8080,
    weak: true,
    scan: false,
  });
});

test("the container is listened to on its loopback interface only", () => {
  const [result] = toPortRules([rule(53, 53, { side: "container", protocol: "udp" })], BOTH);
  expect(result).toMatchObject({ pif: Pif.Splice, protocol: 17, device: "lo", listen: undefined });
});

test.each([
  [{ ipv4: true, ipv6: false }, undefined, "0.0.0.0"],
  [{ ipv4: false, ipv6: true }, undefined, "::"],
  [BOTH, "192.0.2.9", "0.0.0.0"],
  [BOTH, "2001:db8::9", "::"],
])("every address means that of the family that there is: %j, target %s", (families, target, expected) => {
  const targetAddress = target === undefined ? {} : { targetAddress: target };
  const [result] = toPortRules([rule(80, 80, targetAddress)], families);
  expect(formatIp(result.listen!)).toBe(expected);
});

test.each<[PortRuleOptions, string]>([
  [rule(90, 80), "the first one first"],
  [rule(0, 80), "ports go from 1 to 65535"],
  [rule(80, 65_536), "ports go from 1 to 65535"],
  [rule(80, 90, { targetFirst: 0 }), "they would go to ports 0 to 10"],
  [rule(80, 90, { targetFirst: 65_530 }), "they would go to ports 65530 to 65540"],
  [rule(80, 80, { targetAddress: "224.0.0.1" }), "224.0.0.1 is no address of a single machine"],
  [rule(80, 80, { targetAddress: "255.255.255.255" }), "no address of a single machine"],
  [rule(80, 80, { targetAddress: "::" }), ":: is no address of a single machine"],
  [rule(80, 80, { targetAddress: "127.0.0.1" }), "is the container's loopback"],
  [rule(80, 80, { address: "0.0.0.0", targetAddress: "2001:db8::1" }), "2001:db8::1 is of another family"],
  [rule(80, 80, { address: "nowhere" }), '"nowhere" is no IP address'],
  [rule(80, 80, { address: "224.0.0.1" }), "TCP has no multicast or broadcast addresses"],
  [rule(80, 80, { address: "255.255.255.255" }), "TCP has no multicast or broadcast addresses"],
  [rule(80, 80, { address: "ff02::1" }), "TCP has no multicast or broadcast addresses"],
  [rule(80, 80, { interface: "a-much-too-long-name" }), '"a-much-too-long-name" is no name'],
  [rule(80, 80, { side: "container", address: "192.0.2.1" }), "192.0.2.1 is no loopback address"],
  [rule(80, 80, { side: "container", targetAddress: "192.0.2.1" }), "192.0.2.1 is no loopback address"],
])("%j is refused", (options, message) => {
  expect(problem(options)).toContain(message);
});

test("UDP may be received from groups", () => {
  for (const address of ["224.0.0.251", "255.255.255.255", "ff02::1"]) {
    expect(problem(rule(80, 80, { protocol: "udp", address }))).toBe("");
  }
});

test("a family that is switched off cannot be listened to", () => {
  expect(problemWith({ ipv4: true, ipv6: false }, rule(80, 80, { address: "::1" }))).toBe(
    "TCP port 80 of the host at ::1: IPv6 is switched off or not available",
  );
});

test.each<[string, PortRuleOptions, PortRuleOptions]>([
  ["the same port", rule(80), rule(80, 80, { targetFirst: 8080 })],
  ["a port within", rule(80, 90), rule(85, 86)],
  ["the last port", rule(80, 90), rule(90, 99)],
  ["everywhere and an address", rule(80), rule(80, 80, { address: "192.0.2.1" })],
  [
    "every address of a family and one",
    rule(80, 80, { address: "0.0.0.0" }),
    rule(80, 80, { address: "192.0.2.1" }),
  ],
  ["a device and none", rule(80, 80, { interface: "eth0" }), rule(80)],
])("rules overlap: %s", (_name, a, b) => {
  expect(problem(a, b)).toContain("overlaps with TCP port");
  expect(problem(b, a)).toContain("overlaps with TCP port");
});

test.each<[string, PortRuleOptions, PortRuleOptions]>([
  ["neighbours", rule(80, 90), rule(91, 99)],
  ["another protocol", rule(80), rule(80, 80, { protocol: "udp" })],
  ["another side", rule(80), rule(80, 80, { side: "container" })],
  ["two addresses", rule(80, 80, { address: "192.0.2.1" }), rule(80, 80, { address: "192.0.2.2" })],
  ["two families", rule(80, 80, { address: "0.0.0.0" }), rule(80, 80, { address: "::" })],
  ["two devices", rule(80, 80, { interface: "eth0" }), rule(80, 80, { interface: "eth1" })],
  ["the same target", rule(80), rule(81, 81, { targetFirst: 80 })],
])("rules do not overlap: %s", (_name, a, b) => {
  expect(problem(a, b)).toBe("");
});

test("a rule that is there already", () => {
  expect(problem(rule(80), rule(80))).toBe(
    "TCP port 80 of the host: this rule is there already; leave one of them out",
  );
  expect(problem(rule(80, 90), rule(80, 90))).toContain("this rule is there already; leave one of them out");
});

test("an overlap hides behind no rule in between", () => {
  expect(problem(rule(1, 60_000, { address: "192.0.2.1" }), rule(70), rule(80, 80, { address: "::" }))).toBe(
    "TCP port 70 of the host: overlaps with TCP ports 1 to 60000 of the host at 192.0.2.1; exclude ~70 there",
  );
});

test.each<[PortRuleOptions, PortRuleOptions, string]>([
  [rule(80), rule(80), "leave one of them out"],
  [rule(80, 90), rule(85, 86), "exclude ~85-86 there"],
  [rule(80, 90), rule(85, 95), "exclude ~85-90 there"],
])("the error says what to do about an overlap: %j, %j", (a, b, hint) => {
  expect(problem(a, b)).toMatch(new RegExp(`; ${hint}$`));
});

test("as many rules as there may be are checked at once, however they lie", () => {
  const neighbours = Array.from({ length: PORT_RULES_MAX }, (_, i) => rule(1 + 2 * i, 2 + 2 * i));
  const stacked = Array.from({ length: PORT_RULES_MAX }, (_, i) =>
    rule(1, 60_000, { address: `10.0.${i >> 8}.${i & 255}` }),
  );
  const start = performance.now();
  expect(problem(...neighbours)).toBe("");
  expect(problem(...stacked)).toBe("");
  expect(performance.now() - start).toBeLessThan(15_000);
  expect(problem(...neighbours, rule(60_000))).toBe("4097 port rules are more than 4096; use ranges");
});

test.each<[PortRuleOptions, Partial<PortRuleOptions>, boolean]>([
  [rule(8080), {}, true],
  [rule(8080), { protocol: "udp" }, false],
  [rule(8000, 8100, { targetFirst: 9000 }), { first: 9050, last: 9050, targetFirst: 8050 }, true],
  [rule(8000, 8100, { targetFirst: 9000 }), { first: 9050, last: 9050, targetFirst: 8051 }, false],
  [rule(8000, 8100), { first: 8101, last: 8200, targetFirst: 8101 }, false],
  [rule(8080, 8080, { address: "127.0.0.1" }), { address: "::1" }, false],
  [rule(8080, 8080, { address: "127.0.0.1" }), { targetAddress: "127.0.0.5" }, false],
  [rule(8080, 8080, { address: "0.0.0.0" }), { targetAddress: "127.0.0.5" }, true],
  [rule(8080, 8080, { address: "198.51.100.2" }), {}, false],
  [rule(8080, 8080, { interface: "eth0" }), {}, false],
  [rule(8080, 8080, { targetAddress: "192.0.2.10" }), {}, false],
  [rule(8080, 8080, { scan: true }), {}, false],
])("between the two loopbacks %j and back by %j goes round: %j", (there, back, isLoop) => {
  const rules = toPortRules([there, { ...rule(8080), side: "container", ...back }], BOTH);
  let message = "";
  try {
    checkLoops(rules);
  } catch (error) {
    message = String(error);
  }
  const wanted = /: it leads to the container's loopback, and there TCP .* leads back$/;
  expect(wanted.test(message)).toBe(isLoop);
});
