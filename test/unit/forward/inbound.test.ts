import { beforeEach, expect, test } from "@jest/globals";
import { formatIp, parseIp } from "../../../src/base/address.ts";
import {
  endpointPort,
  oursPort,
  packKind,
  packPorts,
  SIDE_WORDS,
  sidePif,
  sideProtocol,
  SideWord,
} from "../../../src/flow/table.ts";
import { Pif } from "../../../src/flow/state.ts";
import type { AddressRules, FamilyRules } from "../../../src/forward/address-rules.ts";
import { inboundTarget } from "../../../src/forward/inbound.ts";
import type { PortPolicy, PortRule } from "../../../src/forward/port-rule.ts";
import { IpProtocol } from "../../../src/wire/ipv4.ts";
import { portRule } from "../../support/port-rule.ts";

const ip = (text: string): Uint32Array => parseIp(text)!;

/** The container is 192.0.2.10, 2001:db8::10 and fe80::10; we are 192.0.2.1 and fe80::1. */
const family = (ours: string, assigned: string, linkLocal: string): FamilyRules => ({
  ours: ip(ours),
  gateway: undefined,
  assigned: [ip(assigned)],
  seen: ip(assigned),
  seenLinkLocal: ip(linkLocal),
  isFixed: false,
  mapHostLoopback: undefined,
  hostAddress: ip(assigned),
  mapGuest: undefined,
  dnsMatch: undefined,
  outbound: undefined,
  outboundInterface: undefined,
});

const POLICY: PortPolicy = { splice: true, spliceOnly: false, hostLoopbackToContainer: false };
const RULE = portRule({ first: 8000, last: 8010, targetFirst: 80 });

let rules: AddressRules;
beforeEach(() => {
  rules = {
    v4: family("192.0.2.1", "192.0.2.10", "::"),
    v6: family("fe80::1", "2001:db8::10", "fe80::10"),
    dnsServers: [],
  };
});

interface Arrival {
  from: string;
  fromPort?: number;
  to: string;
  port?: number;
  pif?: Pif;
  protocol?: number;
  policy?: Partial<PortPolicy>;
  rule?: Partial<PortRule>;
}

/** "PIF ours:port > endpoint:port" of the target, or "refused". */
function target({ from, fromPort = 5000, to, port = 8000, ...rest }: Arrival): string {
  const { pif = Pif.Host, protocol = IpProtocol.Tcp, policy = {}, rule = {} } = rest;
  const key = new Uint32Array(SIDE_WORDS);
  key.set(ip(to), SideWord.Ours);
  key.set(ip(from), SideWord.Endpoint);
  key[SideWord.Ports] = packPorts(port, fromPort);
  key[SideWord.Kind] = packKind(protocol, pif);
  const result = inboundTarget(rules, { ...POLICY, ...policy }, { ...RULE, ...rule }, key);
  if (result === Pif.None) return "refused";
  expect(sidePif(key, 0)).toBe(result);
  expect(sideProtocol(key, 0)).toBe(protocol);
  const name = { [Pif.Host]: "host", [Pif.Tap]: "tap", [Pif.Splice]: "splice" }[result];
  const ours = `${formatIp(key, SideWord.Ours)} ${oursPort(key, 0)}`;
  return `${name} ${ours} > ${formatIp(key, SideWord.Endpoint)} ${endpointPort(key, 0)}`;
}

test("a client of the network is seen as what it is", () => {
  expect(target({ from: "203.0.113.9", to: "192.0.2.10", port: 8003 })).toBe(
    "tap 203.0.113.9 5000 > 192.0.2.10 83",
  );
  expect(target({ from: "2001:db8:9::9", to: "2001:db8::10" })).toBe(
    "tap 2001:db8:9::9 5000 > 2001:db8::10 80",
  );
});

test("ports are mapped over the whole range, as numbers of more than 16 bits", () => {
  const rule = { first: 1, last: 65_534, targetFirst: 2 };
  const at = (port: number): string => target({ from: "203.0.113.9", to: "192.0.2.10", port, rule });
  expect(at(1)).toBe("tap 203.0.113.9 5000 > 192.0.2.10 2");
  expect(at(65_534)).toBe("tap 203.0.113.9 5000 > 192.0.2.10 65535");
  const down = { first: 65_000, last: 65_535, targetFirst: 1 };
  expect(target({ from: "203.0.113.9", to: "192.0.2.10", port: 65_535, rule: down })).toBe(
    "tap 203.0.113.9 5000 > 192.0.2.10 536",
  );
});

test.each([
  ["the rule's target", "192.0.2.10", { target: ip("192.0.2.99") }, "192.0.2.99"],
  ["the rule's target before multicast", "224.0.0.251", { target: ip("192.0.2.99") }, "192.0.2.99"],
  ["multicast as it is", "224.0.0.251", {}, "224.0.0.251"],
  ["broadcast as it is", "255.255.255.255", {}, "255.255.255.255"],
])("the destination is %s", (_name, to, rule, expected) => {
  expect(target({ from: "203.0.113.9", to, rule })).toBe(`tap 203.0.113.9 5000 > ${expected} 80`);
});

test("IPv6 multicast stays too", () => {
  expect(target({ from: "2001:db8:9::9", to: "ff02::fb" })).toBe("tap 2001:db8:9::9 5000 > ff02::fb 80");
});

test("local clients arrive at the container's outer address, past the TAP", () => {
  expect(target({ from: "127.0.0.1", to: "127.0.0.1" })).toBe("splice 0.0.0.0 0 > 192.0.2.10 80");
  expect(target({ from: "127.0.0.1", to: "127.0.0.5" })).toBe("splice 0.0.0.0 0 > 192.0.2.10 80");
  expect(target({ from: "::1", to: "::1" })).toBe("splice :: 0 > 2001:db8::10 80");
  const protocol = IpProtocol.Udp;
  expect(target({ from: "127.0.0.1", to: "127.0.0.1", protocol })).toBe(
    "splice 0.0.0.0 5000 > 192.0.2.10 80",
  );
});

test("local clients arrive at the container's loopback, at the same address, if that is asked for", () => {
  const policy = { hostLoopbackToContainer: true };
  expect(target({ from: "127.0.0.1", to: "127.0.0.53", policy })).toBe("splice 0.0.0.0 0 > 127.0.0.53 80");
  expect(target({ from: "::1", to: "::1", policy })).toBe("splice :: 0 > ::1 80");
  expect(target({ from: "127.0.0.1", to: "192.0.2.10", policy })).toBe("splice 0.0.0.0 0 > 192.0.2.10 80");
  // A packet to a loopback address would arrive nowhere.
  expect(target({ from: "192.0.2.77", to: "127.0.0.1", policy })).toBe("tap 192.0.2.77 5000 > 192.0.2.10 80");
});

test("as long as the container's outer address is not known, nobody arrives at its loopback instead", () => {
  rules.v6.seen.fill(0);
  expect(target({ from: "::1", to: "::1" })).toBe("refused");
  expect(target({ from: "2001:db8:9::9", to: "2001:db8::10" })).toBe("refused");
});

test("no bypass: without splicing, with a target address, from elsewhere", () => {
  rules.v4.mapHostLoopback = ip("192.0.2.1");
  expect(target({ from: "127.0.0.1", to: "127.0.0.1", policy: { splice: false } })).toBe(
    "tap 192.0.2.1 5000 > 192.0.2.10 80",
  );
  expect(target({ from: "127.0.0.1", to: "127.0.0.1", rule: { target: ip("192.0.2.99") } })).toBe(
    "tap 192.0.2.1 5000 > 192.0.2.99 80",
  );
  expect(target({ from: "192.0.2.7", to: "127.0.0.1" })).toBe("tap 192.0.2.7 5000 > 192.0.2.10 80");
});

test("without a TAP all else is refused", () => {
  const policy = { spliceOnly: true };
  expect(target({ from: "203.0.113.9", to: "192.0.2.10", policy })).toBe("refused");
  expect(target({ from: "127.0.0.1", to: "127.0.0.1", policy })).toBe("splice 0.0.0.0 0 > 192.0.2.10 80");
});

test("the host's loopback has a name inside: exactly 127.0.0.1 and ::1", () => {
  const policy = { splice: false };
  rules.v4.mapHostLoopback = ip("198.51.100.8");
  rules.v6.mapHostLoopback = ip("2001:db8::8");
  expect(target({ from: "127.0.0.1", to: "127.0.0.1", policy })).toBe(
    "tap 198.51.100.8 5000 > 192.0.2.10 80",
  );
  expect(target({ from: "127.0.0.2", to: "127.0.0.1", policy })).toBe("tap 192.0.2.1 5000 > 192.0.2.10 80");
  expect(target({ from: "::1", to: "::1", policy })).toBe("tap 2001:db8::8 5000 > 2001:db8::10 80");
});

test("the address that host and container share has a name inside", () => {
  rules.v4.mapGuest = ip("198.51.100.9");
  expect(target({ from: "192.0.2.10", to: "192.0.2.10" })).toBe("tap 198.51.100.9 5000 > 192.0.2.10 80");
});

test("the host is seen by its own address where the container has another one", () => {
  rules.v4.hostAddress = ip("198.51.100.2");
  rules.v4.mapGuest = ip("198.51.100.9");
  expect(target({ from: "198.51.100.2", to: "198.51.100.2" })).toBe("tap 198.51.100.2 5000 > 192.0.2.10 80");
});

test.each([
  ["loopback", "127.0.0.1"],
  ["another loopback", "127.1.2.3"],
  ["the container's address", "192.0.2.10"],
  ["its second address", "192.0.2.11"],
  ["where it was seen", "192.0.2.12"],
])("a client at %s, to which the container cannot answer, is seen as us", (_name, from) => {
  rules.v4.assigned = [ip("192.0.2.10"), ip("192.0.2.11")];
  rules.v4.seen.set(ip("192.0.2.12"));
  expect(target({ from, to: "192.0.2.10", policy: { splice: false } })).toBe(
    "tap 192.0.2.1 5000 > 192.0.2.12 80",
  );
});

test.each(["::1", "2001:db8::10", "2001:db8::12", "fe80::10"])(
  "IPv6: %s is seen as our link-local address, and meets the container's",
  (from) => {
    rules.v6.seen.set(ip("2001:db8::12"));
    expect(target({ from, to: "2001:db8::10", policy: { splice: false } })).toBe(
      "tap fe80::1 5000 > fe80::10 80",
    );
  },
);

test("a link-local client meets the link-local address, if that is known", () => {
  expect(target({ from: "fe80::77", to: "fe80::99" })).toBe("tap fe80::77 5000 > fe80::10 80");
  rules.v6.seenLinkLocal.fill(0);
  expect(target({ from: "fe80::77", to: "fe80::99" })).toBe("refused");
  expect(target({ from: "2001:db8:9::9", to: "2001:db8::10" })).toContain("> 2001:db8::10 80");
});

test("a gateway of the destination's scope stands for what cannot be answered", () => {
  const local = { from: "2001:db8::10", to: "2001:db8::10" };
  rules.v6.gateway = ip("2001:db8::1");
  expect(target(local)).toBe("tap 2001:db8::1 5000 > 2001:db8::10 80");
  expect(target({ ...local, rule: { target: ip("fe80::10") } })).toBe("tap fe80::1 5000 > fe80::10 80");
  rules.v6.gateway = ip("fe80::1");
  expect(target(local)).toBe("tap fe80::1 5000 > fe80::10 80");
});

test("without an address of ours, what cannot be answered is refused", () => {
  rules.v4.ours = ip("0.0.0.0");
  expect(target({ from: "192.0.2.10", to: "192.0.2.10" })).toBe("refused");
});

test("from the container's loopback to the host's, address by address", () => {
  const inside = { pif: Pif.Splice, rule: { pif: Pif.Splice } };
  expect(target({ ...inside, from: "127.0.0.1", to: "127.0.0.53" })).toBe("host 127.0.0.1 0 > 127.0.0.53 80");
  expect(target({ ...inside, from: "127.0.0.9", to: "127.0.0.1", protocol: IpProtocol.Udp })).toBe(
    "host 127.0.0.9 5000 > 127.0.0.1 80",
  );
  expect(target({ ...inside, from: "::1", to: "::1" })).toBe("host ::1 0 > ::1 80");
  const rule = { target: ip("127.0.0.53") };
  expect(target({ ...inside, from: "127.0.0.1", to: "127.0.0.1", rule })).toBe(
    "host 127.0.0.1 0 > 127.0.0.53 80",
  );
});

test.each([
  ["192.0.2.10", "127.0.0.1"],
  ["127.0.0.1", "192.0.2.10"],
  ["2001:db8::10", "2001:db8::10"],
  ["::1", "2001:db8::10"],
  ["192.0.2.10", "224.0.0.251"],
])("nothing but loopback leads from the container to the host: %s to %s", (from, to) => {
  expect(target({ pif: Pif.Splice, from, to })).toBe("refused");
});
