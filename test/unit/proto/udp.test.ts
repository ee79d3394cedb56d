import { beforeEach, expect, test } from "@jest/globals";
import { isUnspecified } from "../../../src/base/address.ts";
import type { Sent } from "../../support/fake-socket.ts";
import { ip } from "../../support/fake-net.ts";
import { type Datagram, FakeStack, READABLE } from "../../support/fake-stack.ts";
import { pattern } from "../../support/frames.ts";

let fake: FakeStack;
beforeEach(() => {
  fake = new FakeStack();
});

const lengths = (sent: readonly Sent[]): string[] =>
  sent.map(({ bytes, segment }) => (segment === 0 ? `${bytes.length}` : `${bytes.length} in ${segment}`));

test("a flow has a connected socket with the container's source port", () => {
  fake.send({ payload: pattern(10) });
  const { socket } = fake.net.host;
  expect(fake.net.host.calls).toEqual([
    "openUdp 5",
    "bind 5 0.0.0.0:5000",
    "connect 5 198.51.100.1:53",
    "readLocal 5",
    "watch 5",
    "setHopLimit 5 64",
    "setDontFragment 5 true",
    "send 5 10",
  ]);
  expect(socket.sent[0].bytes).toEqual(pattern(10));
  fake.send({ payload: pattern(3) });
  expect(fake.net.host.calls.at(-1)).toBe("send 5 3");
  expect(fake.net.host.sockets.length).toBe(1);
});

test("a taken port is replaced by another", () => {
  fake.net.host.script("bind", -98);
  fake.send({});
  expect(fake.net.host.calls.slice(0, 6)).toEqual([
    "openUdp 5",
    "bind 5 0.0.0.0:5000 = -98",
    "bind 5 0.0.0.0:0",
    "connect 5 198.51.100.1:53",
    "readLocal 5",
    "watch 5",
  ]);
  expect(lengths(fake.net.host.socket.sent)).toEqual(["10"]);
  expect(fake.net.takeFrames()).toEqual([]);
});

test("a broadcast destination needs one more option", () => {
  fake.net.host.script("connect", -13);
  fake.send({ to: "198.51.100.255" });
  expect(fake.net.host.calls.slice(2, 5)).toEqual([
    "connect 5 198.51.100.255:53 = -13",
    "setBroadcast 5 true",
    "connect 5 198.51.100.255:53",
  ]);
  expect(lengths(fake.net.host.socket.sent)).toEqual(["10"]);
});

test.each<[string, Datagram, string]>([
  ["source port 0", { sourcePort: 0 }, "dropPort"],
  ["destination port 0", { port: 0 }, "dropPort"],
  ["multicast source", { from: "224.0.0.1" }, "dropIpAddress"],
  ["broadcast source", { from: "255.255.255.255" }, "dropIpAddress"],
  ["unspecified source", { from: "0.0.0.0" }, "dropIpAddress"],
  ["unspecified destination", { to: "0.0.0.0" }, "dropIpAddress"],
  ["IPv6 unspecified destination", { to: "::" }, "dropIpAddress"],
  ["loopback destination", { to: "127.0.0.1" }, "dropIpAddress"],
])("%s is refused", (_name, datagram, counter) => {
  fake.send(datagram);
  expect(fake.net.host.calls).toEqual([]);
  expect(fake.net.counters.snapshot()).toMatchObject({ [counter]: 1 });
  expect(fake.net.flows.active).toBe(0);
});

test("a full table refuses the newest, and says so without end", () => {
  fake = new FakeStack({ capacity: 2 });
  for (let sourcePort = 1; sourcePort <= 20; sourcePort++) fake.send({ sourcePort });
  expect(fake.net.counters.snapshot()).toMatchObject({ dropFlowTableFull: 18, flowsOpened: 2 });
  expect(fake.net.messages.length).toBe(5);
});

test("what the host cannot open, bind, connect or watch leaves nothing behind", () => {
  for (const [method, errno] of [
    ["openUdp", -24],
    ["bind", -99],
    ["connect", -101],
    ["readLocal", -22],
    ["watch", -28],
  ] as const) {
    fake = new FakeStack();
    fake.net.host.script(method, errno);
    fake.send({});
    fake.stack.endOfCycle();
    expect(fake.net.flows.active).toBe(0);
    expect(fake.net.host.sockets.filter(({ closed }) => closed === "open")).toEqual([]);
  }
});

/** Milliseconds until nothing is left, in steps of half a second. */
function lifetime(): number {
  let passed = 0;
  while (fake.net.flows.active > 0 && passed < 1_000_000) {
    fake.wait(500);
    passed += 500;
  }
  return passed / 1000;
}

test.each<[string, number, number, number]>([
  ["one datagram without answer", 1, 0, 30],
  ["many datagrams without answer", 5, 0, 30],
  ["question and answer", 1, 1, 30],
  ["a conversation", 2, 1, 120],
  ["an answer in parts", 1, 2, 120],
])("%s lives as long as in connection tracking", (_name, sent, received, seconds) => {
  for (let i = 0; i < sent; i++) fake.send({});
  const { socket } = fake.net.host;
  for (let i = 0; i < received; i++) socket.inbox.push({ bytes: pattern(4) });
  if (received > 0) fake.event(socket, READABLE);
  const passed = lifetime();
  expect(passed).toBeGreaterThanOrEqual(seconds);
  expect(passed).toBeLessThan(seconds * 1.1);
  expect(socket.closed).toBe("closed");
  expect(fake.net.counters.snapshot()).toMatchObject({ flowsOpened: 1, flowsClosed: 1 });
});

test("traffic keeps a flow alive", () => {
  fake.send({});
  for (let i = 0; i < 10; i++) {
    fake.wait(29_000);
    fake.send({});
  }
  expect(fake.net.host.sockets.length).toBe(1);
});

test("the device of a family is for what leaves the host", () => {
  fake.net.rules.v4.outboundInterface = "eth7";
  fake.net.rules.v4.outbound = ip("198.51.100.200");
  fake.net.rules.v4.mapHostLoopback = ip("192.0.2.1");
  fake.send({}, { to: "192.0.2.1" });
  expect(fake.net.host.sockets.map(({ device, bound, connected }) => [device, bound, connected])).toEqual([
    ["eth7", "198.51.100.200:5000", "198.51.100.1:53"],
    ["", "0.0.0.0:5000", "127.0.0.1:53"],
  ]);
});

test("nothing of a flow under construction reaches the next", () => {
  fake.net.host.script("connect", -111);
  fake.send({});
  fake.send({});
  expect(isUnspecified(fake.net.flows.sides, 0)).toBe(false);
  expect(fake.net.flows.active).toBe(1);
});
