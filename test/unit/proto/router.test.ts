/** What is advertised as a router, and what is said when that has changed. */
import { beforeEach, expect, test } from "@jest/globals";
import type { Link, Link6 } from "../../../src/proto/link.ts";
import { Output } from "../../../src/proto/output.ts";
import { Router } from "../../../src/proto/router.ts";
import { Stack } from "../../../src/proto/stack.ts";
import { FakeNet, ip } from "../../support/fake-net.ts";
import { ipFrame } from "../../support/frames.ts";

const LINK_LOCAL = "fe80::10";
const DEFAULT_ROUTE = { address: ip("::"), length: 0 };
/** What is left out here is the same in all of these advertisements. */
const FIRST = "prefix 2001:db8::/64, resolver 2001:db8::53";

let net: FakeNet;
let stack: Stack;

beforeEach(() => {
  net = new FakeNet();
  net.link.routerAdvertisements = true;
  net.link.advertise = { resolvers: [ip("192.0.2.53"), ip("2001:db8::53")], searchDomains: [] };
  stack = new Stack(net);
  stack.startOfCycle();
});

const askRouter = (from = LINK_LOCAL): void =>
  stack.frame(
    net.plan.receiveAt,
    net.place(ipFrame("ff02::2", 58, Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0), { from, hopLimit: 255 })),
  );

/** The host has changed; what is not named stays. */
function change(link: Partial<Link>, v6: Partial<Link6> = {}): void {
  const before = { ...net.link };
  Object.assign(net.link, { v6: { ...net.link.v6, ...v6 } }, link);
  stack.networkChanged(before);
}

const from = (prefix: string): Uint32Array[] => [ip(`${prefix}::10`)];

/** Advertisements since the last call, each without what all of them have. */
function advertised(): string[] {
  return net
    .takeFrames()
    .map((text) =>
      text
        .replace(/^fe80::1 > ff02::1: router advertisement, lifetime 65535, MTU 1500, /, "")
        .replace("router advertisement, ", ""),
    );
}

/** Lets so much time pass, step by step as the loop would. */
function pass(milliseconds: number): void {
  const end = net.host.nowMs + milliseconds;
  while (net.host.nowMs < end) {
    const delay = stack.nextDelay();
    net.advance(Math.min(delay < 0 ? Infinity : Math.max(delay, 1), end - net.host.nowMs));
    stack.startOfCycle();
  }
}

test("no router where the namespace is configured directly", () => {
  net = new FakeNet();
  stack = new Stack(net);
  askRouter();
  change({ mtu: 1400 });
  stack.startOfCycle();
  expect(net.takeFrames()).toEqual([]);
  // Neighbours are looked at again.
  expect(stack.nextDelay()).toBeLessThanOrEqual(1000);
});

test.each([true, false])("prefix, MTU, resolvers and search domains are told, and of DHCPv6: %s", (dhcp) => {
  net.link.v6.dhcp = dhcp;
  net.link.advertise.searchDomains = ["example.org"];
  net.link.v6.assigned.push(ip("2001:db8::11"), ip("fe80::10"));
  askRouter();
  expect(net.takeFrames()).toEqual([
    `fe80::1 > fe80::10: router advertisement, lifetime 65535,${dhcp ? " managed," : ""} MTU 1500, ${FIRST}, search example.org`,
  ]);
});

test("who has no address yet is answered with everybody", () => {
  askRouter("::");
  expect(net.host.frames[0].slice(10, 16)).toEqual(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1));
  expect(advertised()).toEqual([FIRST]);
});

test("the router comes back at random times within RFC 4861's bounds, not at once", () => {
  const random = [0, 0.5, 0.999];
  const router = new Router(net, new Output(net), () => random.shift() ?? 0);
  const seconds: number[] = [];
  router.expire();
  expect(net.takeFrames()).toEqual([]);
  for (let i = 0; i < 3; i++) {
    seconds.push(router.nextDelay() / 1000);
    net.advance(router.nextDelay());
    router.expire();
    expect(net.takeFrames().length).toBe(1);
  }
  expect(seconds).toEqual([200, 400, 599.6]);
});

test("an old prefix ends when there is a new one, and that is said three times", () => {
  change({}, { assigned: from("2001:db8:1") });
  const said = "prefix 2001:db8:1::/64, prefix 2001:db8::/64 for 0/0 s, resolver 2001:db8::53";
  expect(advertised()).toEqual([said]);
  pass(2_900);
  expect(advertised()).toEqual([]);
  pass(200);
  expect(advertised()).toEqual([said]);
  pass(3_000);
  expect(advertised()).toEqual([said]);
  pass(190_000);
  expect(advertised()).toEqual([]);
  // Whoever asks hears of it for two hours, and so do all.
  askRouter("::");
  expect(advertised()).toEqual([said]);
  pass(410_000);
  expect(advertised()[0]).toBe(said);
  pass(7_200_000);
  net.takeFrames();
  askRouter("::");
  expect(advertised()).toEqual(["prefix 2001:db8:1::/64, resolver 2001:db8::53"]);
});

test("what comes back is not ended any more, and nothing is ended twice", () => {
  for (const prefix of ["2001:db8:1", "2001:db8", "2001:db8:1", "2001:db8"]) {
    net.takeFrames();
    change({}, { assigned: from(prefix) });
  }
  expect(advertised()).toEqual([
    "prefix 2001:db8::/64, prefix 2001:db8:1::/64 for 0/0 s, resolver 2001:db8::53",
  ]);
});

test("nothing is said when nothing of it has changed", () => {
  // Another address of the same prefix, as temporary ones come and go, and what IPv6 does not tell.
  change({}, { assigned: [ip("2001:db8::10"), ip("2001:db8::77")] });
  change({ advertise: { resolvers: [ip("192.0.2.54"), ip("2001:db8::53")], searchDomains: [] } });
  change({ guestMac: Uint8Array.of(2, 0, 0, 0, 0, 9) });
  expect(advertised()).toEqual([]);
});

test("resolvers, search domains, routes and the MTU are told when they change", () => {
  const advertise = { resolvers: [ip("2001:db8::54")], searchDomains: ["b.test"] };
  change({ advertise: { ...advertise, searchDomains: ["a.test"] } });
  expect(advertised()).toEqual([
    "prefix 2001:db8::/64, resolver 2001:db8::54, resolver 2001:db8::53 for 0 s, search a.test",
  ]);
  change({ advertise });
  expect(advertised()).toEqual([
    "prefix 2001:db8::/64, resolver 2001:db8::54, resolver 2001:db8::53 for 0 s, search b.test, search a.test for 0 s",
  ]);
  const dead = "resolver 2001:db8::53 for 0 s, search b.test, search a.test for 0 s";
  const vpn = { address: ip("2001:db8:5::"), length: 48 };
  const onLink = { address: ip("2001:db8::"), length: 64 };
  change({}, { routes: [onLink, vpn, DEFAULT_ROUTE] });
  expect(advertised()).toEqual([
    `prefix 2001:db8::/64, route 2001:db8:5::/48, resolver 2001:db8::54, ${dead}`,
  ]);
  change({ mtu: 1400 }, { routes: [DEFAULT_ROUTE] });
  expect(advertised()).toEqual([
    `fe80::1 > ff02::1: lifetime 65535, MTU 1400, prefix 2001:db8::/64, route 2001:db8:5::/48 for 0 s, resolver 2001:db8::54, ${dead}`,
  ]);
});

test("who has no default route outside, or no address, is no default router", () => {
  change({}, { routes: [{ address: ip("2001:db8:5::"), length: 48 }] });
  expect(advertised()).toEqual([
    "fe80::1 > ff02::1: lifetime 0, MTU 1500, prefix 2001:db8::/64, route 2001:db8:5::/48, resolver 2001:db8::53",
  ]);
  net.link.v6.dhcp = true;
  change({}, { routes: [DEFAULT_ROUTE], assigned: [] });
  expect(advertised()).toEqual([
    "fe80::1 > ff02::1: lifetime 0, MTU 1500, prefix 2001:db8::/64 for 0/0 s, route 2001:db8:5::/48 for 0 s, resolver 2001:db8::53",
  ]);
  change({}, { assigned: from("2001:db8:1") });
  expect(advertised()[0]).toMatch(
    /^fe80::1 > ff02::1: lifetime 65535, managed, MTU 1500, prefix 2001:db8:1::/,
  );
});

test("when IPv6 goes, all of it ends; when it comes back, that is said at once", () => {
  change({}, { enabled: false });
  const farewell =
    "fe80::1 > ff02::1: lifetime 0, prefix 2001:db8::/64 for 0/0 s, resolver 2001:db8::53 for 0 s";
  expect(advertised()).toEqual([farewell]);
  pass(3_600_000);
  expect(advertised()).toEqual([farewell, farewell]);
  expect(stack.nextDelay()).toBe(-1);
  change({}, { enabled: true });
  expect(advertised()).toEqual([FIRST]);
});

test("whoever gets another address takes leave from the old one", () => {
  const route = { address: ip("2001:db8:5::"), length: 48 };
  change({}, { routes: [DEFAULT_ROUTE, route] });
  net.takeFrames();
  change({}, { ours: ip("fe80::2") });
  expect(advertised()).toEqual([
    `fe80::2 > ff02::1: lifetime 65535, MTU 1500, prefix 2001:db8::/64, route 2001:db8:5::/48, resolver 2001:db8::53`,
    "fe80::1 > ff02::1: lifetime 0, route 2001:db8:5::/48 for 0 s",
  ]);
});

test.each(["ndp", "icmp"] as const)("nothing of it without %s", (service) => {
  net = new FakeNet({ without: new Set([service]) });
  net.link.routerAdvertisements = true;
  stack = new Stack(net);
  stack.startOfCycle();
  change({ mtu: 1400 });
  pass(7_200_000);
  expect(net.takeFrames()).toEqual([]);
});

const many = <Value>(make: (i: number) => Value): Value[] => Array.from({ length: 500 }, (_, i) => make(i));
const hex = (i: number): string => (i + 16).toString(16);

test("however much there is to say, it fits, and the important things come first", () => {
  for (const generation of ["a", "b"]) {
    change(
      {
        advertise: {
          resolvers: many((i) => ip(`2001:db8:${generation}::${hex(i)}`)),
          searchDomains: many((i) => `${generation}${i}.example.org`),
        },
      },
      {
        assigned: many((i) => ip(`2001:db8:${generation}:${hex(i)}::1`)),
        routes: [
          ...many((i) => ({ address: ip(`2001:db8:${generation}${hex(i)}::`), length: 48 })),
          DEFAULT_ROUTE,
        ],
      },
    );
  }
  const [, frame] = net.host.frames;
  expect(frame.length).toBeLessThanOrEqual(10 + 14 + 1280);
  const [text] = net.takeFrames().slice(1);
  expect(text).toContain("lifetime 65535, MTU 1500, prefix 2001:db8:b:10::/64, ");
  expect(text.match(/prefix/g)).toHaveLength(16);
  expect(text).toMatch(/, resolver 2001:db8:b::10 /);
});
