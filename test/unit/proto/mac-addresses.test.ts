/** Whose MAC address frames to the container have, and what it is told of that. */
import { beforeEach, expect, test } from "@jest/globals";
import { formatIp, formatMac, ipv4Words, parseMac } from "../../../src/base/address.ts";
import { Neighbours } from "../../../src/proto/neighbours.ts";
import { ARP_LENGTH, ArpOperation, writeArp } from "../../../src/wire/arp.ts";
import { EtherType } from "../../../src/wire/ethernet.ts";
import { writeNeighborSolicitation } from "../../../src/wire/ndp.ts";
import { FakeStack, READABLE } from "../../support/fake-stack.ts";
import { GUEST_4, GUEST_6, ip, type FakeNet } from "../../support/fake-net.ts";
import { ethernetFrame, ipFrame } from "../../support/frames.ts";

const OURS = "9a:55:9a:55:9a:55";
const GUEST = "02:00:00:00:00:10";
const [ROUTER, PEER, OTHER] = ["02:00:00:00:00:01", "02:00:00:00:00:07", "02:00:00:00:00:08"];
const BROADCAST = "ff:ff:ff:ff:ff:ff";

let fake: FakeStack;
let net: FakeNet;

beforeEach(() => start({}));

function start(options: ConstructorParameters<typeof FakeStack>[0]): void {
  fake = new FakeStack(options);
  ({ net } = fake);
  net.rules.v4.gateway = ip("192.0.2.1");
  net.rules.v6.gateway = ip("fe80::1");
  net.host.neighbours.set("192.0.2.1", ROUTER).set("192.0.2.7", PEER);
  net.host.neighbours.set("fe80::1", ROUTER).set("2001:db8::7", PEER).set("fe80::7", PEER);
  net.host.nexthops.set("203.0.113.9", "192.0.2.1").set("2001:db8:9::9", "fe80::1");
}

const macOf = (address: string): string => formatMac(new Neighbours(net).of(ip(address), 0));

function ask(target: string): void {
  const view = new DataView(new ArrayBuffer(64));
  if (target.includes(":")) {
    const length = writeNeighborSolicitation(view, 0, ip(target), 0, parseMac(GUEST)!);
    const message = new Uint8Array(view.buffer, 0, length);
    return fake.take(ipFrame("ff02::1:ff00:1", 58, message, { from: GUEST_6, hopLimit: 255 }));
  }
  writeArp(view, 0, ArpOperation.Request, parseMac(GUEST)!, ip(GUEST_4)[3], new Uint8Array(6), ip(target)[3]);
  fake.take(ethernetFrame(EtherType.Arp, new Uint8Array(view.buffer, 0, ARP_LENGTH)));
}

/** Source, destination and description of the frames since the last call. */
function frames(): string[] {
  const macs = net.host.frames.map(
    (frame) => `${formatMac(frame.subarray(16, 22))} > ${formatMac(frame.subarray(10, 16))}`,
  );
  return net.takeFrames().map((text, i) => `${macs[i]} ${text}`);
}

/** Has the only flow's socket receive something; the MAC address that the container's frame comes from. */
function receive(): string {
  net.host.socket.inbox.push({ bytes: new Uint8Array(5) });
  fake.event(net.host.socket, READABLE);
  return frames().join().slice(0, 17);
}

/** The MAC address that the last frame told by ARP or NDP; the latter has it in an option at the end. */
function toldMac(): string {
  const frame = net.host.frames.at(-1)!;
  const isArp = frame[22] === 0x08 && frame[23] === 0x06;
  return formatMac(isArp ? frame.subarray(32, 38) : frame.subarray(frame.length - 6));
}

test.each([
  ["a neighbour", "192.0.2.7", PEER],
  ["a neighbour", "2001:db8::7", PEER],
  ["a neighbour by its link-local address", "fe80::7", PEER],
  ["the router", "192.0.2.1", ROUTER],
  ["the router", "fe80::1", ROUTER],
  ["who is behind the router", "203.0.113.9", ROUTER],
  ["who is behind the router", "2001:db8:9::9", ROUTER],
  ["a neighbour that the host does not know", "192.0.2.66", OURS],
])("%s (%s) has %s", (_name, address, mac) => {
  expect(macOf(address)).toBe(mac);
});

test.each(["mapHostLoopback", "mapGuest", "dnsMatch"] as const)("nobody outside takes over %s", (rule) => {
  net.rules.v4[rule] = ip("192.0.2.7");
  net.rules.v6[rule] = ip("2001:db8::7");
  expect([macOf("192.0.2.7"), macOf("2001:db8::7")]).toEqual([OURS, OURS]);
  expect(net.host.questions).toBe(0);
});

test("our own address is ours where it is not the router's too", () => {
  net.rules.v4.gateway = undefined;
  net.rules.v6.gateway = ip("2001:db8::7");
  expect([macOf("192.0.2.1"), macOf("fe80::1"), macOf("2001:db8::7")]).toEqual([OURS, OURS, PEER]);
});

test("a gateway that stands for us is not the router, and neither is what is behind it", () => {
  net.rules.v4.mapHostLoopback = net.rules.v4.gateway;
  expect([macOf("192.0.2.1"), macOf("203.0.113.9"), macOf("192.0.2.7")]).toEqual([OURS, OURS, PEER]);
});

test("the container's own MAC address is nobody else's", () => {
  net.host.neighbours.set("192.0.2.7", GUEST);
  expect(macOf("192.0.2.7")).toBe(OURS);
});

test("without a neighbourhood all is ours, and the host is not asked", () => {
  net.link.v4.neighbourhood = net.link.v6.neighbourhood = 0;
  expect([macOf("192.0.2.7"), macOf("2001:db8::7"), macOf("192.0.2.1")]).toEqual([OURS, OURS, OURS]);
  expect(net.host.questions).toBe(0);
});

test("what leaves the host elsewhere is ours", () => {
  net.link.v4.neighbourhood = 99;
  expect(macOf("192.0.2.7")).toBe(OURS);
});

test("an answer counts for a second, and one about a router for all behind it", () => {
  const neighbours = new Neighbours(net);
  net.host.nexthops.set("203.0.113.10", "192.0.2.1");
  for (let i = 0; i < 3; i++) expect(formatMac(neighbours.of(ip("203.0.113.9"), 0))).toBe(ROUTER);
  expect(net.host.questions).toBe(2);
  neighbours.of(ip("203.0.113.10"), 0);
  expect(net.host.questions).toBe(3);
  net.host.neighbours.set("192.0.2.1", OTHER);
  net.advance(999);
  expect(formatMac(neighbours.of(ip("203.0.113.9"), 0))).toBe(ROUTER);
  net.advance(1);
  expect(formatMac(neighbours.of(ip("203.0.113.9"), 0))).toBe(OTHER);
});

/** One of 65,536. */
const numbered = (i: number): string => formatMac(Uint8Array.of(2, 0, 0, 1, i >> 8, i));

test("many addresses at a time are each told apart", () => {
  const neighbours = new Neighbours(net);
  const addresses = Array.from({ length: 800 }, (_, i) => formatIp(ipv4Words(0xc6336400 + i)));
  for (const [i, address] of addresses.entries()) net.host.neighbours.set(address, numbered(i));
  for (let round = 0; round < 2; round++) {
    for (const [i, address] of addresses.entries()) {
      expect(formatMac(neighbours.of(ip(address), 0))).toBe(numbered(i));
    }
  }
});

test("more stations than there is room for are ours, until something changes", () => {
  const neighbours = new Neighbours(net);
  const of = (i: number): string => {
    net.host.neighbours.set("192.0.2.7", numbered(i));
    net.advance(1000);
    return formatMac(neighbours.of(ip("192.0.2.7"), 0));
  };
  for (let i = 0; i < 1024; i++) expect(of(i)).toBe(numbered(i));
  expect(of(1024)).toBe(OURS);
  neighbours.askAgain();
  expect(of(1025)).toBe(numbered(1025));
});

test.each([
  ["192.0.2.7", PEER],
  ["2001:db8::7", PEER],
  ["203.0.113.9", ROUTER],
  ["192.0.2.66", OURS],
])("who asks for %s is told %s, by a frame that comes from there", (target, mac) => {
  ask(target);
  expect(toldMac()).toBe(mac);
  const from = target.includes(":") ? ROUTER : mac;
  expect(frames()).toEqual([expect.stringMatching(new RegExp(`^${from} > ${GUEST} .*${target}`))]);
});

test("a flow's frames come from where its peer is, which is asked for once", () => {
  fake.send({ to: "192.0.2.7" });
  expect(net.host.questions).toBe(0);
  for (let i = 0; i < 3; i++) {
    net.host.socket.inbox.push({ bytes: new Uint8Array(5) });
    fake.event(net.host.socket, READABLE);
    fake.wait(2000);
  }
  expect(frames().map((text) => text.slice(0, 37))).toEqual(Array(3).fill(`${PEER} > ${GUEST}`));
  expect(net.host.questions).toBe(2);
});

test("a flow whose peer is not known finds out a second later", () => {
  fake.send({ to: "192.0.2.66" });
  expect(receive()).toBe(OURS);
  net.host.neighbours.set("192.0.2.66", PEER);
  expect(receive()).toBe(OURS);
  fake.wait(1000);
  expect(receive()).toBe(PEER);
});

test("the next flow in the same row has its own", () => {
  const mac = net.flows.mac;
  const neighbours = new Neighbours(net);
  const words = (to: string): number => {
    fake.send({ to });
    const [flow] = net.openFlows();
    return flow * 20;
  };
  expect(formatMac(neighbours.ofSide(words("192.0.2.7")))).toBe(PEER);
  const [flow] = net.openFlows();
  expect(mac[flow]).not.toBe(0);
  net.host.close(net.socket[flow]);
  net.flows.close(flow);
  net.flows.sweep();
  expect(formatMac(neighbours.ofSide(words("203.0.113.9")))).toBe(ROUTER);
});

test("a mere tuple is looked up every time", () => {
  const neighbours = new Neighbours(net);
  net.flows.key.set(ip("192.0.2.7"));
  expect(formatMac(neighbours.ofSide(net.flows.keyWords))).toBe(PEER);
  net.flows.key.set(ip("203.0.113.9"));
  expect(formatMac(neighbours.ofSide(net.flows.keyWords))).toBe(ROUTER);
});

test.each([
  ["192.0.2.66", `${PEER} > ${BROADCAST} ARP who-has 192.0.2.66 tell 192.0.2.66`],
  [
    "2001:db8::66",
    `${ROUTER} > 33:33:00:00:00:01 fe80::1 > ff02::1: neighbor advertisement, target 2001:db8::66`,
  ],
])("when the host has learned of %s, the container is told once", (address, announcement) => {
  ask(address);
  expect(toldMac()).toBe(OURS);
  frames();
  net.host.neighbours.set(address, PEER);
  fake.send({ to: address });
  net.host.socket.inbox.push({ bytes: new Uint8Array(5) });
  fake.event(net.host.socket, READABLE);
  expect(toldMac()).toBe(PEER);
  expect(frames()).toEqual([expect.stringContaining(`${PEER} > ${GUEST}`), announcement]);
  fake.wait(2000);
  expect(frames()).toEqual([]);
});

test("after a change of the host those whom the container knows are looked at, at once and once more", () => {
  ask("192.0.2.1");
  ask("2001:db8::7");
  ask("192.0.2.7");
  frames();
  net.host.neighbours.set("192.0.2.1", OTHER);
  fake.stack.hostChanged();
  expect(frames()).toEqual([`${OTHER} > ${BROADCAST} ARP who-has 192.0.2.1 tell 192.0.2.1`]);
  net.host.neighbours.set("2001:db8::7", OTHER);
  // Not known is no news.
  net.host.neighbours.delete("192.0.2.7");
  fake.stack.hostChanged();
  expect(frames()).toEqual([]);
  expect(fake.stack.nextDelay()).toBe(1000);
  fake.wait(1000);
  expect(toldMac()).toBe(OTHER);
  expect(frames()).toEqual([expect.stringContaining("neighbor advertisement, target 2001:db8::7")]);
  expect(fake.stack.nextDelay()).toBe(-1);
});

test("changes that follow each other closely cost one look a second", () => {
  ask("192.0.2.7");
  const before = net.host.questions;
  for (let i = 0; i < 1000; i++) {
    net.advance(5);
    fake.stack.hostChanged();
  }
  expect((net.host.questions - before) / 2).toBe(5);
});

test("where the neighbours are gone, all are ours", () => {
  ask("192.0.2.7");
  frames();
  net.link.v4.neighbourhood = 0;
  fake.stack.networkChanged(net.link);
  expect(frames()).toEqual([`${OURS} > ${BROADCAST} ARP who-has 192.0.2.7 tell 192.0.2.7`]);
});

test("flows, too, are at their new places", () => {
  fake.send({ to: "203.0.113.9" });
  expect(receive()).toBe(ROUTER);
  net.host.neighbours.set("192.0.2.1", OTHER);
  fake.wait(2000);
  expect(receive()).toBe(ROUTER);
  fake.stack.hostChanged();
  expect(receive()).toBe(OTHER);
});

test.each(["ndp", "icmp"] as const)("without %s nothing is advertised", (service) => {
  start({ without: new Set([service]) });
  const neighbours = new Neighbours(net);
  neighbours.tell(ip("2001:db8::7"), 0);
  net.link.guestMac.fill(0xff);
  fake.stack.hostChanged();
  expect(frames()).toEqual([expect.stringContaining("ARP who-has 192.0.2.10 tell 192.0.2.1")]);
});

test("a family that is off hears nothing", () => {
  ask("192.0.2.7");
  ask("2001:db8::7");
  frames();
  net.link.v4.enabled = net.link.v6.enabled = false;
  net.host.neighbours.set("192.0.2.7", OTHER).set("2001:db8::7", OTHER);
  fake.stack.hostChanged();
  expect(frames()).toEqual([]);
});

test("a container that has not been heard is asked for its addresses", () => {
  net.link.guestMac.fill(0xff);
  fake.stack.networkChanged(net.link);
  expect(frames()).toEqual([
    `${ROUTER} > ${BROADCAST} ARP who-has 192.0.2.10 tell 192.0.2.1`,
    `${ROUTER} > 33:33:ff:00:00:10 fe80::1 > ff02::1:ff00:10: neighbor solicitation, who has 2001:db8::10`,
  ]);
  ask("192.0.2.7");
  frames();
  fake.wait(1000);
  expect(frames()).toEqual([]);
});

test("of those the container asked for, the last 64 are put right", () => {
  for (let i = 1; i <= 70; i++) {
    net.host.neighbours.set(`198.51.100.${i}`, PEER);
    ask(`198.51.100.${i}`);
  }
  frames();
  for (let i = 1; i <= 70; i++) net.host.neighbours.set(`198.51.100.${i}`, OTHER);
  fake.stack.hostChanged();
  expect(frames()).toHaveLength(64);
});
