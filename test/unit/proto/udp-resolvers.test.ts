import { beforeEach, expect, test } from "@jest/globals";
import { QUESTION_LENGTH, QUESTIONS } from "../../../src/proto/udp-questions.ts";
import { Stack } from "../../../src/proto/stack.ts";
import { FakeNet, ip } from "../../support/fake-net.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import { udpFrame } from "../../support/frames.ts";

const RESOLVER = "192.0.2.53";
const [FIRST, SECOND, THIRD] = ["198.51.100.53", "2001:db8::53", "198.51.100.54"];
const ANSWER = "192.0.2.53:53 > 192.0.2.10:5000: UDP, length 60";
const REFUSED = 5;

let net: FakeNet;
let stack: Stack;

beforeEach(() => {
  net = new FakeNet({ capacity: 2048 });
  net.rules.v4.dnsMatch = ip(RESOLVER);
  net.rules.dnsServers = [FIRST, SECOND, THIRD].map(ip);
  stack = new Stack(net);
});

/** A DNS message: its identifier, its response code, and nothing else that matters. */
function message(id: number, length: number, code = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint16(0, id);
  bytes[3] = code;
  return bytes;
}

function ask({ id = 7, sourcePort = 5000, length = 30 } = {}): void {
  const at = net.plan.receiveAt;
  stack.frame(at, net.place(udpFrame(RESOLVER, 53, message(id, length), { sourcePort })));
  stack.endOfFrames();
  stack.endOfCycle();
}

/** A cycle of the loop, later. */
function wait(milliseconds = 0): void {
  net.advance(milliseconds);
  stack.startOfCycle();
  stack.endOfCycle();
}

function answer(socket: FakeSocket, { id = 7, code = 0 } = {}): void {
  socket.inbox.push({ bytes: message(id, 60, code) });
  stack.socketEvent(socket.side, 1);
  stack.service();
}

/** The host tells that nobody listens there. */
function refuse(socket: FakeSocket): void {
  const offender = ip(socket.connected.slice(0, socket.connected.lastIndexOf(":")));
  socket.errors.push({
    errno: 111,
    origin: socket.v6 ? 3 : 2,
    type: socket.v6 ? 1 : 3,
    code: socket.v6 ? 4 : 3,
    offender,
  });
  stack.socketEvent(socket.side, 8);
}

/** The socket that was opened last. */
const last = (): FakeSocket => net.host.sockets.at(-1)!;

const asked = (): string[] => net.host.sockets.map(({ connected }) => connected);

test("a question goes to the first resolver, the answer comes from the resolver inside", () => {
  ask();
  expect(asked()).toEqual([`${FIRST}:53`]);
  answer(last());
  expect(net.takeFrames()).toEqual([ANSWER]);
  expect(stack.nextDelay()).toBeGreaterThan(5_000);
});

test("a question without an answer is asked again of the next, by itself, whatever its family", () => {
  ask();
  wait(999);
  expect(asked()).toEqual([`${FIRST}:53`]);
  expect(stack.nextDelay()).toBe(1);
  wait(1);
  expect(asked()).toEqual([`${FIRST}:53`, `${SECOND}:53`]);
  const socket = last();
  expect(socket.sent.map(({ bytes }) => bytes)).toEqual([message(7, 30)]);
  answer(socket);
  expect(net.takeFrames()).toEqual([ANSWER]);
  wait(11_000);
  expect(asked().length).toBe(2);
  expect(net.flows.active).toBe(0);
  expect(net.counters.snapshot().dnsAskedAgain).toBe(1);
});

test("one after the other is asked, each once", () => {
  ask();
  for (let i = 0; i < 90; i++) wait(100);
  expect(asked()).toEqual([`${FIRST}:53`, `${SECOND}:53`, `${THIRD}:53`]);
});

test("the first one may answer late", () => {
  ask();
  wait(1000);
  answer(net.host.sockets[0]);
  expect(net.takeFrames()).toEqual([ANSWER]);
  wait(1000);
  expect(asked().length).toBe(2);
});

test("one that has failed is asked no more for a while, from the same port or another", () => {
  ask();
  wait(1000);
  ask({ id: 8 });
  expect(asked()).toEqual([`${FIRST}:53`, `${SECOND}:53`, `${SECOND}:53`]);
  ask({ id: 9, sourcePort: 5001 });
  expect(asked().at(-1)).toBe(`${SECOND}:53`);
  wait(30_001);
  ask({ id: 10 });
  expect(asked().at(-1)).toBe(`${FIRST}:53`);
});

test("a slow answer among quick ones costs a resolver nothing", () => {
  ask({ id: 1 });
  wait(500);
  ask({ id: 2 });
  answer(last(), { id: 2 });
  wait(500);
  expect(asked()).toEqual([`${FIRST}:53`, `${SECOND}:53`]);
  ask({ id: 3 });
  ask({ id: 4, sourcePort: 5001 });
  expect(asked().slice(2)).toEqual([`${FIRST}:53`]);
});

test("each question of a port waits for its own answer", () => {
  ask({ id: 1 });
  ask({ id: 2 });
  answer(last(), { id: 1 });
  wait(1000);
  expect(asked()).toEqual([`${FIRST}:53`, `${SECOND}:53`]);
  expect(last().sent[0]?.bytes).toEqual(message(2, 30));
});

test("a question that the container repeats is one question", () => {
  ask();
  wait(500);
  ask();
  wait(500);
  expect(asked()).toEqual([`${FIRST}:53`, `${SECOND}:53`]);
  wait(500);
  expect(asked().length).toBe(2);
});

test("an error has the next asked at once, and only the last one is told", () => {
  ask();
  for (let i = 0; i < 2; i++) {
    refuse(last());
    expect(stack.nextDelay()).toBe(0);
    wait();
  }
  expect(net.takeFrames()).toEqual([]);
  refuse(last());
  wait();
  expect(asked()).toEqual([`${FIRST}:53`, `${SECOND}:53`, `${THIRD}:53`]);
  expect(net.takeFrames()).toEqual([
    expect.stringContaining("192.0.2.53 > 192.0.2.10: ICMP port unreachable"),
  ]);
});

test("an error of the other family is told in the container's", () => {
  net.rules.dnsServers = [ip(SECOND)];
  ask();
  refuse(last());
  expect(net.takeFrames()).toEqual([
    expect.stringContaining("192.0.2.53 > 192.0.2.10: ICMP port unreachable"),
  ]);
});

test("a resolver to which there is no way is passed over", () => {
  net.host.script("connect", -101);
  ask();
  expect(last().sent.length).toBe(1);
  expect(last().connected).toBe(`${SECOND}:53`);
  expect(net.takeFrames()).toEqual([]);
});

test("without a way to any resolver the container hears of it at once", () => {
  net.host.script("connect", -101, -101, -101);
  ask();
  expect(net.takeFrames()).toEqual([
    expect.stringContaining("192.0.2.53 > 192.0.2.10: ICMP net unreachable"),
  ]);
  expect(net.flows.active).toBe(0);
});

test("when a resolver refuses to tell, the next is asked, and the last one's refusal is told", () => {
  ask();
  answer(last(), { code: REFUSED });
  wait();
  expect([net.takeFrames(), asked().length]).toEqual([[], 2]);
  answer(last(), { code: REFUSED });
  wait();
  answer(last(), { code: REFUSED });
  expect([net.takeFrames(), asked().length]).toEqual([[ANSWER], 3]);
});

test("a refusal is told when the others are silent anyway", () => {
  net.rules.dnsServers = [FIRST, SECOND].map(ip);
  ask({ id: 1 });
  answer(last(), { id: 1, code: REFUSED });
  wait();
  wait(1000);
  ask({ id: 2, sourcePort: 5001 });
  answer(last(), { id: 2, code: REFUSED });
  expect(net.takeFrames()).toEqual(["192.0.2.53:53 > 192.0.2.10:5001: UDP, length 60"]);
});

test("another list: those on it are asked what waits, and what comes next", () => {
  net.rules.dnsServers = [ip(FIRST)];
  ask({ id: 1 });
  wait(3000);
  expect(asked()).toEqual([`${FIRST}:53`]);
  net.rules.dnsServers = [ip(THIRD)];
  expect(stack.nextDelay()).toBe(0);
  wait();
  expect(asked()).toEqual([`${FIRST}:53`, `${THIRD}:53`]);
  answer(last(), { id: 1 });
  ask({ id: 2 });
  expect(asked()).toEqual([`${FIRST}:53`, `${THIRD}:53`, `${THIRD}:53`]);
  expect(net.takeFrames()).toEqual([ANSWER]);
});

test("another list with the same resolver on it: it may answer", () => {
  ask();
  net.rules.dnsServers = [THIRD, FIRST].map(ip);
  wait();
  expect(asked()).toEqual([`${FIRST}:53`]);
  wait(1000);
  expect(asked()).toEqual([`${FIRST}:53`, `${THIRD}:53`]);
});

test("a flow whose question was answered ends soon", () => {
  ask();
  answer(last());
  wait(9_000);
  expect(net.flows.active).toBe(1);
  wait(2_000);
  expect(net.flows.active).toBe(0);
  ask();
  expect(asked().at(-1)).toBe(`${FIRST}:53`);
});

test("what is too long, and what is too many, is sent and not asked again", () => {
  ask({ id: 0, length: QUESTION_LENGTH + 1 });
  expect(net.counters.snapshot().dnsNotKept).toBe(1);
  for (let id = 1; id <= QUESTIONS + 1; id++) ask({ id });
  expect(net.counters.snapshot().dnsNotKept).toBe(2);
  expect(last().sent.length).toBe(QUESTIONS + 2);
  net.advance(1000);
  for (let i = 0; i < QUESTIONS; i++) wait();
  expect(net.counters.snapshot().dnsAskedAgain).toBe(QUESTIONS);
  wait(20_000);
  expect(net.flows.active).toBe(0);
});

test("what is no DNS message goes its way", () => {
  ask({ length: 2 });
  const socket = last();
  socket.inbox.push({ bytes: Uint8Array.of(1) });
  stack.socketEvent(socket.side, 1);
  stack.service();
  expect(net.takeFrames()).toEqual(["192.0.2.53:53 > 192.0.2.10:5000: UDP, length 1"]);
  wait(1000);
  expect(asked().length).toBe(1);
});

test("DNS over DTLS or QUIC stays with its resolver", () => {
  const at = net.plan.receiveAt;
  stack.frame(at, net.place(udpFrame(RESOLVER, 853, message(1, 30), { sourcePort: 5000 })));
  stack.endOfFrames();
  wait(1000);
  expect(asked()).toEqual([`${FIRST}:853`]);
});
