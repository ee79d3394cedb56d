import { beforeEach, expect, test } from "@jest/globals";
import { Stack } from "../../../src/proto/stack.ts";
import { ARP_LENGTH, ArpOperation, writeArp } from "../../../src/wire/arp.ts";
import { EtherType } from "../../../src/wire/ethernet.ts";
import { writeNeighborSolicitation } from "../../../src/wire/ndp.ts";
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
