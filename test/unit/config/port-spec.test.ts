import { expect, test } from "@jest/globals";
import { PORT_RULES_MAX, type PortRuleOptions } from "../../../src/config/options.ts";
import {
  combinePortSpecs,
  parsePortSpec,
  portOption,
  PortSpecError,
  printPortRule,
  type PortOption,
} from "../../../src/config/port-spec.ts";

const EPHEMERAL = { first: 32_768, last: 60_999 };
const parse = (text: string, option: PortOption = "-t"): PortRuleOptions[] =>
  parsePortSpec(option, text, EPHEMERAL);
const rule = (first: number, last: number, more: Partial<PortRuleOptions> = {}): PortRuleOptions => ({
  side: "host",
  protocol: "tcp",
  first,
  last,
  targetFirst: first,
  ...more,
});

const combine = (...given: [PortOption, string[]][]): PortRuleOptions[] =>
  combinePortSpecs(new Map(given), EPHEMERAL);

/** Where and why a text is refused. */
function refused(text: string, option: PortOption = "-t"): [number, string] {
  try {
    parse(text, option);
  } catch (error) {
    if (error instanceof PortSpecError) return [error.at, error.why];
    throw error;
  }
  throw new Error(`${text} is accepted`);
}

test("ports, ranges and other ports inside", () => {
  expect(parse("80")).toEqual([rule(80, 80)]);
  expect(parse("80,443")).toEqual([rule(80, 80), rule(443, 443)]);
  expect(parse("8000-8010")).toEqual([rule(8000, 8010)]);
  expect(parse("8080:80")).toEqual([rule(8080, 8080, { targetFirst: 80 })]);
  expect(parse("8000-8010:9000-9010")).toEqual([rule(8000, 8010, { targetFirst: 9000 })]);
  expect(parse("1-65535")).toEqual([rule(1, 65_535)]);
});

test("the option says who initiates and by which protocol", () => {
  expect(parse("53", "-u")).toEqual([rule(53, 53, { protocol: "udp" })]);
  expect(parse("5432", "-T")).toEqual([rule(5432, 5432, { side: "container", interface: "lo" })]);
  expect(parse("53:5353", "-U")).toEqual([
    rule(53, 53, { side: "container", protocol: "udp", interface: "lo", targetFirst: 5353 }),
  ]);
  for (const option of ["-t", "-u", "-T", "-U"] as const) {
    expect(parse("1", option).map(portOption)).toEqual([option]);
  }
});

test("where to listen: an address, an interface, both or neither", () => {
  for (const [text, listen] of [
    ["192.0.2.1/80", { address: "192.0.2.1" }],
    ["[192.0.2.1]/80", { address: "192.0.2.1" }],
    ["2001:DB8::1/80", { address: "2001:db8::1" }],
    ["[2001:db8::1]/80", { address: "2001:db8::1" }],
    ["::/80", { address: "::" }],
    ["0.0.0.0/80", { address: "0.0.0.0" }],
    ["*/80", {}],
    ["/80", {}],
    ["%eth0/80", { interface: "eth0" }],
    ["*%eth0/80", { interface: "eth0" }],
    ["192.0.2.1%br-lan.2/80", { address: "192.0.2.1", interface: "br-lan.2" }],
    ["2001:db8::1%eth0/80", { address: "2001:db8::1", interface: "eth0" }],
    ["[fe80::1]%eth0/80", { address: "fe80::1", interface: "eth0" }],
    ["80:1::2/80", { address: "80:1::2" }],
  ] as const) {
    expect([text, parse(text)]).toEqual([text, [rule(80, 80, listen)]]);
  }
  expect(parse("224.0.0.251/5353", "-u")).toEqual([
    rule(5353, 5353, { protocol: "udp", address: "224.0.0.251" }),
  ]);
});

test("an address inside, with or without ports", () => {
  const four = { targetAddress: "10.0.0.2" };
  const six = { targetAddress: "fd00::2" };
  expect(parse("80:10.0.0.2")).toEqual([rule(80, 80, four)]);
  expect(parse("80:10.0.0.2/8080")).toEqual([rule(80, 80, { ...four, targetFirst: 8080 })]);
  expect(parse("80-81:[10.0.0.2]/8080-8081")).toEqual([rule(80, 81, { ...four, targetFirst: 8080 })]);
  expect(parse("80:fd00::2")).toEqual([rule(80, 80, six)]);
  expect(parse("80:[fd00::2]/8080")).toEqual([rule(80, 80, { ...six, targetFirst: 8080 })]);
  expect(parse("*/80:fd00::2/8080")).toEqual([rule(80, 80, { ...six, targetFirst: 8080 })]);
  expect(parse("%eth0/80:10.0.0.2")).toEqual([rule(80, 80, { ...four, interface: "eth0" })]);
  expect(parse("192.0.2.1/80:10.0.0.2,81:82")).toEqual([
    rule(80, 80, { address: "192.0.2.1", targetAddress: "10.0.0.2" }),
    rule(81, 81, { address: "192.0.2.1", targetFirst: 82 }),
  ]);
  expect(parse("80,81:10.0.0.2/82")).toEqual([rule(80, 80), rule(81, 81, { ...four, targetFirst: 82 })]);
});

test("what is excluded splits ranges, wherever it stands", () => {
  const expected = [rule(1, 21), rule(23, 79), rule(82, 100)];
  expect(parse("1-100,~22,~80-81")).toEqual(expected);
  expect(parse("~80-81,1-100,~22,~22")).toEqual(expected);
  expect(parse("10-20:110-120,~15")).toEqual([
    rule(10, 14, { targetFirst: 110 }),
    rule(16, 20, { targetFirst: 116 }),
  ]);
  expect(parse("80,~443")).toEqual([rule(80, 80)]);
  expect(parse("80,~1-100")).toEqual([]);
});

test("all leaves ephemeral ports alone, and may fail", () => {
  const expected = [rule(1, 32_767, { weak: true }), rule(61_000, 65_535, { weak: true })];
  expect(parse("all")).toEqual(expected);
  expect(parse("*/all")).toEqual(expected);
  expect(parse("~22")).toEqual([rule(1, 21, { weak: true }), rule(23, 32_767, { weak: true }), expected[1]]);
  expect(parse("all:10.0.0.2,~1-60999")).toEqual([
    rule(61_000, 65_535, { weak: true, targetAddress: "10.0.0.2" }),
  ]);
  expect(parsePortSpec("-t", "all", { first: 1, last: 65_535 })).toEqual([]);
  // What is named is not left out.
  expect(parse("40000")).toEqual([rule(40_000, 40_000)]);
});

test("auto goes for every range", () => {
  const weak = { weak: true, scan: true } as const;
  expect(parse("auto")).toEqual([rule(1, 32_767, weak), rule(61_000, 65_535, weak)]);
  expect(parse("auto,~1-32767")).toEqual([rule(61_000, 65_535, weak)]);
  expect(parse("8000-8002,auto,9000")).toEqual([
    rule(8000, 8002, { scan: true }),
    rule(9000, 9000, { scan: true }),
  ]);
});

test("none gives nothing", () => {
  expect(parse("none")).toEqual([]);
});

const REFUSED: readonly [text: string, at: number, why: string, option?: PortOption][] = [
  ["", 0, "a port should stand here"],
  ["80,", 3, "a port should stand here"],
  ["80,,81", 3, "a port should stand here"],
  ["x", 0, "a port should stand here"],
  ["80 ", 2, "a comma or the end should stand here"],
  ["80, 81", 3, "a port should stand here"],
  ["0", 0, "ports go from 1 to 65535"],
  ["80:0", 3, "ports go from 1 to 65535"],
  ["65536", 0, "ports go from 1 to 65535"],
  ["1-65536", 2, "ports go from 1 to 65535"],
  ["99999999999999999999", 0, "ports go from 1 to 65535"],
  ["90-80", 3, "the range ends before it begins: write 80-90"],
  ["80-", 3, "a port should stand here"],
  ["-80", 0, "a port should stand here"],
  ["80--81", 3, "a port should stand here"],
  ["80-81-82", 5, "a comma or the end should stand here"],
  ["80:81:82", 3, "this is not an IP address"],
  ["80:", 3, "a port should stand here"],
  ["80-90:8080", 6, "11 ports cannot lead to 1"],
  ["80:10.0.0.2/80-81", 12, "1 port cannot lead to 2"],
  ["60000-61000:65000-66000", 18, "ports go from 1 to 65535"],
  ["~", 1, "a port should stand here"],
  ["~80:81", 3, "a comma or the end should stand here"],
  ["all:80", 4, "this is not an IP address"],
  ["all:10.0.0.2/80", 4, "all ports go to the same ports: an address alone should stand here"],
  ["auto:80", 4, "a comma or the end should stand here"],
  ["80,none", 3, "none stands alone"],
  ["192.0.2.1", 9, "a slash and ports should stand behind this address"],
  ["192.0.2.1:8080:80", 9, "a slash and ports should stand behind this address"],
  ["0.0.0.0:80,81", 7, "a slash and ports should stand behind this address"],
  ["[::1]:80", 5, "a slash and ports should stand behind this address"],
  ["[fe80::1%eth0]/80", 8, "the interface belongs behind the bracket"],
  ["80/tcp", 2, "-t says the protocol already"],
  ["8080:80/udp", 7, "-u says the protocol already", "-u"],
  ["192.0.2.300/80", 0, "this is not an IP address"],
  ["[2001:db8::1/80", 0, "this bracket is not closed"],
  ["80:[fd00::2/80", 3, "this bracket is not closed"],
  ["localhost/80", 0, "this is not an IP address"],
  ["%/80", 1, "this is not an interface name of 1 to 15 bytes"],
  ["192.0.2.1%0123456789abcdef/80", 10, "this is not an interface name of 1 to 15 bytes"],
  ["192.0.2.1/", 10, "a port should stand here"],
  ["192.0.2.1/80/81", 12, "a comma or the end should stand here"],
  ["192.0.2.1/80,192.0.2.2/81", 16, "a comma or the end should stand here"],
  ["192.0.2.1/80:fd00::2", 13, "this address is not of the family of 192.0.2.1"],
  ["::/80:10.0.0.2", 6, "this address is not of the family of ::"],
  ["80:224.0.0.1", 3, "this is not the address of a host"],
  ["80:[ff02::1]/80", 3, "this is not the address of a host"],
  ["80:0.0.0.0", 3, "this is not the address of a host"],
  ["80:255.255.255.255", 3, "this is not the address of a host"],
  ["80:127.0.0.1", 3, "the container's loopback cannot be reached from outside; see --host-lo-to-ns-lo"],
  ["80:10.0.0.2/", 12, "a port should stand here"],
  ["80:/81", 3, "this is not an IP address"],
  ["224.0.0.251/80", 0, "TCP has no multicast or broadcast addresses"],
  ["127.0.0.1/80", 0, "-T takes ports only: it listens on the container's loopback", "-T"],
  ["127.0.0.1:80", 0, "-T takes ports only: it listens on the container's loopback", "-T"],
  ["%lo/80", 0, "-U takes ports only: it listens on the container's loopback", "-U"],
  ["80:10.0.0.2/81", 3, "-T changes ports only: connections go to the address on the host's loopback", "-T"],
  ["all:10.0.0.2", 4, "-U changes ports only: connections go to the address on the host's loopback", "-U"],
];

test("what cannot be is refused with the place and the reason", () => {
  for (const [text, at, why, option] of REFUSED) {
    expect([text, ...refused(text, option)]).toEqual([text, at, why]);
  }
});

test("the message has a caret below what is wrong", () => {
  expect(() => parse("80,90-85")).toThrow(
    "-t: the range ends before it begins: write 85-90\n  80,90-85\n        ^",
  );
  expect(() => parse("é\n")).toThrow("-t: a port should stand here\n  ??\n  ^");
  const long = `${"80,".repeat(1000)}x${",80".repeat(1000)}`;
  const [, shown, caret] = new PortSpecError("-t", long, 3000, "no").message.split("\n");
  expect(shown).toHaveLength(74);
  expect(shown[caret.indexOf("^")]).toBe("x");
});

test("options accumulate, and none contradicts what was given before it", () => {
  expect(combine(["-t", ["80", "81"]], ["-U", ["53"]])).toEqual([
    rule(80, 80),
    rule(81, 81),
    rule(53, 53, { side: "container", protocol: "udp", interface: "lo" }),
  ]);
  expect(combine(["-t", ["none", "80"]], ["-u", ["none"]])).toEqual([rule(80, 80)]);
  expect(() => combine(["-t", ["80", "none"]])).toThrow("-t: none contradicts the ports given before it");
  const odd = Array.from({ length: PORT_RULES_MAX + 1 }, (_, i) => String(2 * i + 1));
  expect(combine(["-t", [odd.slice(1).join(",")]])).toHaveLength(PORT_RULES_MAX);
  expect(() => combine(["-t", odd])).toThrow("this makes more than 4096 rules; use ranges");
});

test("rules are printed as a person would write them", () => {
  for (const text of [
    "80",
    "80-90",
    "80:8080",
    "80-90:8080-8090",
    "192.0.2.1/80",
    "[2001:db8::1]%eth0/80:81",
    "%eth0/80",
    "0.0.0.0/80:10.0.0.2",
    "[::]/80-81:[fd00::2]/90-91",
    "80,auto",
    "all,~1-60999,auto",
    "all,~32768-65535",
  ]) {
    expect(parse(text).map(printPortRule)).toEqual([text]);
  }
  expect(parse("5432:5433", "-T").map(printPortRule)).toEqual(["5432:5433"]);
});
