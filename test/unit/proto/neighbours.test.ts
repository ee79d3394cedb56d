import { beforeEach, expect, test } from "@jest/globals";
import { Ndp } from "../../../src/proto/ndp.ts";
import { Output } from "../../../src/proto/output.ts";
import { Stack } from "../../../src/proto/stack.ts";
import { ARP_LENGTH, ArpOperation, writeArp } from "../../../src/wire/arp.ts";
import { EtherType } from "../../../src/wire/ethernet.ts";
import { writeNeighborSolicitation } from "../../../src/wire/ndp.ts";
import {
  isRouterAdvertisementValid,
  readRouterAdvertisement,
} from "../../../src/wire/router-advertisement.ts";
import { FakeNet, GUEST_4, GUEST_6, ip } from "../../support/fake-net.ts";
import { ethernetFrame, ipFrame } from "../../support/frames.ts";

const GUEST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x10);
const LINK_LOCAL = "fe80::10";

let net: FakeNet;
let stack: Stack;

beforeEach(() => {
  net = new FakeNet();
  stack = new Stack(net);
});

const take = (frame: Uint8Array): void => stack.frame(net.plan.receiveAt, net.place(frame));

function arp(operation: number, sender: string, target: string): void {
  const packet = new Uint8Array(ARP_LENGTH);
  const view = new DataView(packet.buffer);
  writeArp(view, 0, operation, GUEST_MAC, ip(sender)[3], new Uint8Array(6), ip(target)[3]);
  take(ethernetFrame(EtherType.Arp, packet));
}

test.each([
  ["the gateway", GUEST_4, "192.0.2.1"],
  ["a neighbour", GUEST_4, "192.0.2.77"],
  ["anybody", GUEST_4, "203.0.113.1"],
  ["a probe for an address that is free", "0.0.0.0", "192.0.2.77"],
])("ARP: %s is at our address", (_name, sender, target) => {
  arp(ArpOperation.Request, sender, target);
  expect(net.takeFrames()).toEqual([`ARP ${target} is-at 9a:55:9a:55:9a:55`]);
});

test.each([
  ["a probe for its own address", ArpOperation.Request, "0.0.0.0", GUEST_4],
  ["its own address", ArpOperation.Request, GUEST_4, GUEST_4],
  ["an announcement", ArpOperation.Request, "192.0.2.99", "192.0.2.99"],
  ["a reply", ArpOperation.Reply, GUEST_4, "192.0.2.1"],
])("ARP: %s is not answered", (_name, operation, sender, target) => {
  arp(operation, sender, target);
  expect(net.takeFrames()).toEqual([]);
});

test("ARP goes with its family", () => {
  net.link.v4.enabled = false;
  arp(ArpOperation.Request, GUEST_4, "192.0.2.1");
  expect(net.takeFrames()).toEqual([]);
  expect(net.counters.snapshot()).toMatchObject({ dropFamilyOff: 1 });
});

function solicit(from: string, target: string, hopLimit = 255): void {
  const message = new Uint8Array(64);
  const length = writeNeighborSolicitation(new DataView(message.buffer), 0, ip(target), 0, GUEST_MAC);
  take(ipFrame("ff02::1:ff00:1", 58, message.subarray(0, length), { from, hopLimit }));
}

test.each([LINK_LOCAL, GUEST_6])("NDP: everybody is at our address, for %s", (from) => {
  solicit(from, "2001:db8::1");
  const [frame] = net.host.frames;
  const view = new DataView(frame.buffer);
  expect(view.getUint8(24 + 7)).toBe(255);
  // Router, solicited, override.
  expect(view.getUint8(64 + 4)).toBe(0xe0);
  expect(frame.slice(64 + 26, 64 + 32)).toEqual(net.link.ourMac);
  expect(net.takeFrames()[0]).toMatch(new RegExp(`^fe80::1 > ${from}: neighbor advertisement.*2001:db8::1`));
});

test("NDP: duplicate address detection and its own addresses are left alone", () => {
  solicit("::", "2001:db8::77");
  solicit(LINK_LOCAL, GUEST_6);
  expect(net.takeFrames()).toEqual([]);
});

test("NDP: what came through a router is refused", () => {
  solicit(LINK_LOCAL, "2001:db8::1", 254);
  expect(net.takeFrames()).toEqual([]);
  expect(net.counters.snapshot()).toMatchObject({ dropNdp: 1 });
});

const askRouter = (from: string): void =>
  take(ipFrame("ff02::2", 58, Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0), { from, hopLimit: 255 }));

test("NDP: no router where the namespace is configured directly", () => {
  askRouter(LINK_LOCAL);
  expect(net.takeFrames()).toEqual([]);
  expect(stack.nextDelay()).toBe(-1);
});

test.each([true, false])("NDP: the router tells prefix, MTU and resolvers, and of DHCPv6: %s", (dhcp) => {
  net.link.routerAdvertisements = true;
  net.link.v6.dhcp = dhcp;
  net.link.advertise = { resolvers: [ip("2001:db8::53")], searchDomains: ["example.org"] };
  net.link.v6.assigned.push(ip("2001:db8::11"), ip("fe80::10"));
  askRouter(LINK_LOCAL);
  const [frame] = net.host.frames;
  const view = new DataView(frame.buffer);
  expect(isRouterAdvertisementValid(view, 64, frame.length)).toBe(true);
  const message = readRouterAdvertisement(view, 64, frame.length);
  expect(message).toMatchObject({ mtu: 1500, lifetimeSeconds: 65_535, searchDomains: ["example.org"] });
  expect([message.managed, message.other]).toEqual([dhcp, false]);
  expect(message.prefixes.map(({ address, length }) => [address, length])).toEqual([[ip("2001:db8::"), 64]]);
  expect(net.takeFrames()[0]).toMatch(/^fe80::1 > fe80::10: /);
});

test("NDP: who has no address yet is answered with everybody", () => {
  net.link.routerAdvertisements = true;
  askRouter("::");
  expect(net.host.frames[0].slice(10, 16)).toEqual(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1));
  expect(net.takeFrames()[0]).toMatch(/^fe80::1 > ff02::1: /);
});

test("NDP: the router comes back at random times within RFC 4861's bounds, not at once", () => {
  net.link.routerAdvertisements = true;
  const random = [0, 0.5, 0.999];
  const ndp = new Ndp(net, new Output(net), () => random.shift() ?? 0);
  const seconds: number[] = [];
  ndp.expire();
  expect(net.takeFrames()).toEqual([]);
  for (let i = 0; i < 3; i++) {
    seconds.push(ndp.nextDelay() / 1000);
    net.advance(ndp.nextDelay());
    ndp.expire();
    expect(net.takeFrames().length).toBe(1);
  }
  expect(seconds).toEqual([200, 400, 599.6]);
});
