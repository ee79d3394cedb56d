import { beforeEach, expect, test } from "@jest/globals";
import { Resolvers } from "../../../src/forward/resolvers.ts";
import { Stack } from "../../../src/proto/stack.ts";
import { FakeNet, ip } from "../../support/fake-net.ts";
import { pattern, udpFrame } from "../../support/frames.ts";

const RESOLVER = "192.0.2.53";
const SERVERS = ["198.51.100.53", "2001:db8::53", "198.51.100.54"];

let net: FakeNet;
let stack: Stack;

beforeEach(() => {
  net = new FakeNet();
  net.rules.v4.dnsMatch = ip(RESOLVER);
  net.rules.dnsServers = SERVERS.map(ip);
  stack = new Stack(net);
});

function ask(sourcePort = 5000): void {
  const at = net.plan.receiveAt;
  stack.frame(at, net.place(udpFrame(RESOLVER, 53, pattern(30), { sourcePort })));
  stack.endOfFrames();
  stack.endOfCycle();
}

function wait(milliseconds: number): void {
  net.advance(milliseconds);
  stack.startOfCycle();
  stack.endOfCycle();
}

const asked = (): string[] => net.host.sockets.map(({ connected }) => connected);

test("a question goes to the first resolver, the answer comes from the resolver inside", () => {
  ask();
  expect(asked()).toEqual(["198.51.100.53:53"]);
  net.host.socket.inbox.push({ bytes: pattern(60) });
  stack.socketEvent(net.host.socket.side, 1);
  stack.service();
  expect(net.takeFrames()).toEqual(["192.0.2.53:53 > 192.0.2.10:5000: UDP, length 60"]);
});

test("a repeated question goes to the next resolver, whatever its family", () => {
  ask();
  wait(1000);
  ask();
  expect(asked()).toEqual(["198.51.100.53:53"]);
  wait(1500);
  ask();
  expect(asked()).toEqual(["198.51.100.53:53", "2001:db8::53:53"]);
  expect(net.host.sockets.map(({ closed, v6 }) => [closed, v6])).toEqual([
    ["closed", false],
    ["open", true],
  ]);
  wait(2500);
  ask(5001);
  expect(asked().at(-1)).toBe("198.51.100.54:53");
});

test("an error is as good as silence", () => {
  ask();
  const { socket } = net.host;
  socket.errors.push({ errno: 111, origin: 2, type: 3, code: 3, offender: ip(SERVERS[0]) });
  stack.socketEvent(socket.side, 8);
  ask();
  expect(asked()).toEqual(["198.51.100.53:53", "2001:db8::53:53"]);
  expect(net.takeFrames()).toEqual([
    expect.stringContaining("192.0.2.53 > 192.0.2.10: ICMP port unreachable"),
  ]);
});

test("an error of the other family is told in the container's", () => {
  net.rules.dnsServers = [ip(SERVERS[1])];
  ask();
  const { socket } = net.host;
  socket.errors.push({ errno: 111, origin: 3, type: 1, code: 4, offender: ip(SERVERS[1]) });
  stack.socketEvent(socket.side, 8);
  expect(net.takeFrames()).toEqual([
    expect.stringContaining("192.0.2.53 > 192.0.2.10: ICMP port unreachable"),
  ]);
});

test("a flow whose question was answered ends soon", () => {
  ask();
  net.host.socket.inbox.push({ bytes: pattern(60) });
  stack.socketEvent(net.host.socket.side, 1);
  stack.service();
  wait(9_000);
  expect(net.flows.active).toBe(1);
  wait(2_000);
  expect(net.flows.active).toBe(0);
  ask();
  expect(asked().at(-1)).toBe("198.51.100.53:53");
});

test("the order of preference comes back", () => {
  const resolvers = new Resolvers();
  resolvers.failed(0, 2, 1000);
  expect(resolvers.current(2, 1000)).toBe(1);
  // Late news of the one that is not asked any more.
  resolvers.failed(0, 2, 1500);
  expect(resolvers.current(2, 30_999)).toBe(1);
  expect(resolvers.current(2, 31_000)).toBe(0);
});

test("fewer resolvers than before are no trouble", () => {
  const resolvers = new Resolvers();
  resolvers.failed(0, 3, 0);
  resolvers.failed(1, 3, 0);
  expect(resolvers.current(3, 1)).toBe(2);
  expect(resolvers.current(1, 1)).toBe(0);
  resolvers.failed(0, 1, 1);
  expect(resolvers.current(1, 1)).toBe(0);
  expect(resolvers.current(0, 1)).toBe(0);
});
