import { beforeEach, expect, test } from "@jest/globals";
import { Pif } from "../../../src/flow/state.ts";
import { IpProtocol } from "../../../src/wire/ipv4.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import { ip } from "../../support/fake-net.ts";
import { FAILED, FakeStack, READABLE } from "../../support/fake-stack.ts";
import { pattern } from "../../support/frames.ts";
import { portRule } from "../../support/port-rule.ts";

const RULE = portRule({ protocol: IpProtocol.Udp, first: 8053, last: 8054, targetFirst: 53 });

let fake: FakeStack;
beforeEach(() => {
  fake = new FakeStack();
});

interface Listener {
  slot: number;
  socket: FakeSocket;
  port: number;
}

function listen(port: number): Listener {
  const socket = fake.net.host.listen("udp", true, Pif.Host);
  return { socket, port, slot: fake.net.listeners.add(socket.fd, port, RULE) };
}

/** Puts datagrams of a client into a listener's socket. */
function arrive({ socket, port }: Listener, from: string, fromPort: number, ...sizes: number[]): void {
  const client = { from: ip(from), fromPort, to: ip("127.0.0.1"), toPort: port };
  socket.inbox.push(...sizes.map((size) => ({ bytes: pattern(size), client })));
}

/** One cycle in which listeners have events. */
function cycle(events: number, ...listeners: Listener[]): void {
  for (const { slot } of listeners) fake.stack.listenerEvent(slot, events);
  fake.stack.service();
  fake.stack.endOfCycle();
}

test("a listener without a rule lets nobody new in, and serves those that came before until they end", () => {
  const listener = listen(8053);
  arrive(listener, "203.0.113.5", 5000, 10);
  cycle(READABLE, listener);
  fake.net.listeners.retire(listener.slot);
  expect(listener.socket.closed).toBe("open");
  arrive(listener, "203.0.113.6", 5000, 10);
  arrive(listener, "203.0.113.5", 5000, 11);
  cycle(READABLE, listener);
  expect(fake.net.takeFrames()).toEqual([
    "203.0.113.5:5000 > 192.0.2.10:53: UDP, length 10",
    "203.0.113.5:5000 > 192.0.2.10:53: UDP, length 11",
  ]);
  expect(fake.net.counters.snapshot()).toMatchObject({ dropForward: 1 });
  fake.wait(33_000);
  expect(listener.socket.closed).toBe("closed");
  // Events of the slot that were under way mean nobody.
  cycle(READABLE | FAILED, listener);
});

test("clients follow the rule of the moment, conversations that of their beginning", () => {
  const listener = listen(8053);
  arrive(listener, "203.0.113.5", 5000, 10);
  cycle(READABLE, listener);
  fake.net.listeners.setRule(listener.slot, { ...RULE, targetFirst: 153 });
  arrive(listener, "203.0.113.5", 5000, 11);
  arrive(listener, "203.0.113.6", 5000, 12);
  cycle(READABLE, listener);
  expect(fake.net.takeFrames()).toEqual([
    "203.0.113.5:5000 > 192.0.2.10:53: UDP, length 10",
    "203.0.113.5:5000 > 192.0.2.10:53: UDP, length 11",
    "203.0.113.6:5000 > 192.0.2.10:153: UDP, length 12",
  ]);
});

test("no listener receives more than its turn while others wait", () => {
  const greedy = listen(8053);
  const other = listen(8054);
  for (let i = 0; i < 100; i++) arrive(greedy, "203.0.113.5", 5000, 4);
  arrive(other, "203.0.113.5", 5000, 4);
  for (const { slot } of [greedy, other]) fake.stack.listenerEvent(slot, READABLE);
  fake.stack.service();
  expect([greedy.socket.inbox.length, other.socket.inbox.length, fake.stack.isBusy]).toEqual([36, 0, true]);
  fake.stack.service();
  expect([greedy.socket.inbox.length, fake.stack.isBusy]).toEqual([0, false]);
  expect(fake.net.takeFrames().length).toBe(101);
});

test("an unwanted datagram is received and counted, each of many", () => {
  const listener = listen(8053);
  arrive(listener, "203.0.113.5", 0, 10, 0, 1400);
  cycle(READABLE, listener);
  expect([listener.socket.inbox.length, fake.stack.isBusy]).toEqual([0, false]);
  expect(fake.net.counters.snapshot()).toMatchObject({ dropPort: 3 });
});

test("errors without an end do not keep us busy", () => {
  const listener = listen(8053);
  cycle(FAILED, listener);
  fake.net.host.script("receiveFrom", ...Array<number>(100).fill(-111));
  fake.net.host.script("receive", ...Array<number>(100).fill(-111));
  cycle(FAILED | READABLE, listener);
  expect(fake.stack.isBusy).toBe(false);
});

test("an error does not cost the datagrams behind it", () => {
  const listener = listen(8053);
  arrive(listener, "203.0.113.5", 5000, 100, 100);
  listener.socket.error = 111;
  cycle(READABLE, listener);
  expect(fake.net.takeFrames()).toEqual(["203.0.113.5:5000 > 192.0.2.10:53: UDP, length 200"]);
});

test("a listener whose last client is found gone while it is served is closed in peace", () => {
  const listener = listen(8053);
  arrive(listener, "127.0.0.1", 5000, 10);
  cycle(READABLE, listener);
  const [, server] = fake.net.host.sockets;
  fake.net.listeners.retire(listener.slot);
  arrive(listener, "127.0.0.1", 5000, 10, 0, 10);
  server.errors.push({ errno: 111, origin: 2, type: 3, code: 3 });
  fake.net.host.script("send", -111);
  cycle(READABLE, listener);
  expect([server.closed, listener.socket.closed, fake.net.flows.active]).toEqual(["closed", "closed", 0]);
});

test("errors of a listener end the last client of a listener without a rule", () => {
  const listener = listen(8053);
  arrive(listener, "127.0.0.1", 5000, 10);
  cycle(READABLE, listener);
  fake.net.listeners.retire(listener.slot);
  const about = { from: ip("127.0.0.1"), fromPort: 5000, to: ip("127.0.0.1"), toPort: 8053 };
  listener.socket.errors.push({ errno: 111, origin: 2, about }, { errno: 111, origin: 2, about });
  cycle(FAILED, listener);
  expect([listener.socket.closed, fake.net.flows.active]).toEqual(["closed", 0]);
});

test("a full table says so without end", () => {
  fake = new FakeStack({ capacity: 2 });
  const listener = listen(8053);
  for (let port = 1; port <= 20; port++) arrive(listener, "203.0.113.5", port, 4);
  cycle(READABLE, listener);
  expect(fake.net.counters.snapshot()).toMatchObject({ dropFlowTableFull: 18, flowsOpened: 2 });
  expect(fake.net.messages.length).toBe(5);
});

test("what the host cannot bind, connect or watch leaves nothing behind", () => {
  for (const method of ["bind", "connect", "readLocal", "watch"] as const) {
    fake = new FakeStack();
    const listener = listen(8053);
    fake.net.host.script(method, -28);
    arrive(listener, "127.0.0.1", 5000, 10);
    cycle(READABLE, listener);
    expect([fake.net.flows.active, fake.net.listeners.users(listener.slot)]).toEqual([0, 0]);
    expect(fake.net.host.sockets.map(({ closed }) => closed)).toEqual(["open", "closed"]);
  }
});

test("conversations of the container that have a port are found", () => {
  fake.send({ sourcePort: 8053 }, { sourcePort: 8054 }, { sourcePort: 8053, to: "198.51.100.2" });
  expect(fake.stack.udp.socketsAt(8053)).toEqual([fake.net.host.sockets[0].fd, fake.net.host.sockets[2].fd]);
  fake.wait(33_000);
  expect(fake.stack.udp.socketsAt(8053)).toEqual([]);
});

test("what waits for a socket inside is forgotten with its listener", () => {
  const listener = listen(8053);
  fake.net.host.script("openUdp", -11);
  arrive(listener, "127.0.0.1", 5000, 10);
  cycle(READABLE, listener);
  fake.net.listeners.retire(listener.slot);
  const other = listen(8054);
  expect(other.slot).toBe(listener.slot);
  fake.stack.insideReady();
  expect(fake.net.flows.active).toBe(0);
  arrive(other, "127.0.0.1", 5000, 10);
  cycle(READABLE, other);
  expect(fake.net.flows.active).toBe(1);
});
