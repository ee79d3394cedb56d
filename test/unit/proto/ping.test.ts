import { beforeEach, expect, test } from "@jest/globals";
import { Stack } from "../../../src/proto/stack.ts";
import { isIcmp4ChecksumRight } from "../../../src/wire/icmp4.ts";
import { isIcmp6ChecksumRight } from "../../../src/wire/icmp6.ts";
import { pseudo6 } from "../../../src/wire/checksum.ts";
import type { FakeSocket } from "../../support/fake-socket.ts";
import { FakeNet, ip } from "../../support/fake-net.ts";
import { echoFrame, type PacketOptions, pattern } from "../../support/frames.ts";

const PEER = "198.51.100.1";
const PEER_6 = "2001:db8:1::1";

let net: FakeNet;
let stack: Stack;

beforeEach(() => {
  net = new FakeNet();
  stack = new Stack(net);
});

function ping(to: string, id: number, sequence: number, options: PacketOptions = {}): void {
  const at = net.plan.receiveAt;
  stack.frame(at, net.place(echoFrame(to, id, sequence, pattern(56), options)));
  stack.endOfFrames();
}

/** The answer to the last request as the kernel gives it: its own identifier, type of an echo reply. */
function answer(socket: FakeSocket): void {
  const bytes = socket.sent.at(-1)?.bytes.slice() ?? new Uint8Array(0);
  bytes[0] = socket.v6 ? 129 : 0;
  bytes.set([0xab, 0xcd], 4);
  socket.inbox.push({ bytes });
  stack.socketEvent(socket.side, 1);
}

test.each([0, 1, 53, 65_535])("an echo with identifier %i comes back with it", (id) => {
  ping(PEER, id, 7);
  expect(net.host.calls).toEqual([
    "openPing 5",
    `connect 5 198.51.100.1:${id}`,
    "watch 5",
    "setHopLimit 5 64",
    "send 5 64",
  ]);
  answer(net.host.socket);
  const [frame] = net.host.frames;
  expect(isIcmp4ChecksumRight(new DataView(frame.buffer), 10 + 14 + 20, frame.length)).toBe(true);
  expect(net.takeFrames()).toEqual([
    `198.51.100.1 > 192.0.2.10: ICMP echo reply, id ${id}, seq 7, length 64`,
  ]);
});

test("an IPv6 echo has a checksum over addresses too", () => {
  ping(PEER_6, 3, 1);
  answer(net.host.socket);
  const [frame] = net.host.frames;
  const view = new DataView(frame.buffer);
  const pseudo = pseudo6(view, 24 + 8, 24 + 24, 58, frame.length - 64);
  expect(isIcmp6ChecksumRight(view, 64, frame.length, pseudo)).toBe(true);
  expect(net.takeFrames()).toEqual([
    "2001:db8:1::1 > 2001:db8::10: ICMPv6 echo reply, id 3, seq 1, length 64",
  ]);
});

test("the address that means the host is answered as itself", () => {
  net.rules.v4.mapHostLoopback = ip("192.0.2.1");
  net.rules.v4.dnsMatch = ip("192.0.2.1");
  net.rules.dnsServers = [ip(PEER)];
  ping("192.0.2.1", 53, 1);
  expect(net.host.socket.connected).toBe("127.0.0.1:53");
  answer(net.host.socket);
  expect(net.takeFrames()[0]).toMatch(/^192.0.2.1 > 192.0.2.10: ICMP echo reply, id 53/);
});

test("one socket for each identifier and destination, with the hop limit of each request", () => {
  ping(PEER, 1, 1);
  ping(PEER, 1, 2, { hopLimit: 3 });
  ping(PEER, 2, 1);
  expect(net.host.sockets.length).toBe(2);
  expect(net.host.calls.slice(4, 7)).toEqual(["send 5 64", "setHopLimit 5 3", "send 5 64"]);
});

test("errors on the way are relayed with the container's identifier", () => {
  ping(PEER, 0x1234, 9, { hopLimit: 1 });
  const { socket } = net.host;
  const payload = socket.sent[0].bytes.slice();
  payload.set([0xab, 0xcd], 4);
  const offender = ip("198.51.100.254");
  socket.errors.push({ errno: 113, origin: 2, type: 11, code: 0, offender, payload });
  stack.socketEvent(socket.side, 8);
  const view = new DataView(net.host.frames[0].buffer);
  const quoted = 10 + 14 + 20 + 8 + 20;
  expect([view.getUint8(quoted), view.getUint16(quoted + 4), view.getUint16(quoted + 6)]).toEqual([
    8, 0x1234, 9,
  ]);
  expect(net.takeFrames()[0]).toMatch(/^198.51.100.254 > 192.0.2.10: ICMP/);
});

test("the error of one request does not cost the next", () => {
  ping(PEER, 1, 1);
  const { socket } = net.host;
  socket.error = 113;
  socket.errors.push({ errno: 113, origin: 2, type: 3, code: 1, offender: ip(PEER) });
  ping(PEER, 1, 2);
  expect(socket.sent.length).toBe(2);
  expect(net.takeFrames().length).toBe(1);
});

test("a host that allows no ping sockets is explained once", () => {
  net.host.script("openPing", -13, -13);
  ping(PEER, 1, 1);
  ping(PEER, 2, 1);
  stack.endOfCycle();
  expect(net.messages).toEqual([expect.stringContaining("net.ipv4.ping_group_range")]);
  expect(net.counters.snapshot()).toMatchObject({ dropConnectFailed: 2 });
  expect(net.flows.active).toBe(0);
});

test("no route is told as ICMP, of the request in question", () => {
  net.host.script("connect", -101);
  ping(PEER, 5, 6);
  expect(net.takeFrames()).toEqual([
    expect.stringContaining("198.51.100.1 > 192.0.2.10: ICMP net unreachable"),
  ]);
});

test("what is not an echo reply goes no further", () => {
  ping(PEER, 1, 1);
  const { socket } = net.host;
  socket.inbox.push({ bytes: Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0) }, { bytes: Uint8Array.of(0, 0) });
  stack.socketEvent(socket.side, 1);
  expect(net.takeFrames()).toEqual([]);
  expect(net.counters.snapshot()).toMatchObject({ dropIcmpType: 2 });
});

test("a ping ends a minute after its last request", () => {
  ping(PEER, 1, 1);
  for (const milliseconds of [50_000, 50_000]) {
    net.advance(milliseconds);
    stack.startOfCycle();
    stack.endOfCycle();
    ping(PEER, 1, 1);
  }
  expect(net.host.sockets.length).toBe(1);
  net.advance(66_000);
  stack.startOfCycle();
  stack.endOfCycle();
  expect(net.host.socket.closed).toBe("closed");
  expect(net.flows.active).toBe(0);
});

test.each([
  ["echo reply", 0],
  ["redirect", 5],
  ["timestamp", 13],
])("%s from the container is only counted", (_name, type) => {
  const frame = echoFrame(PEER, 1, 1, pattern(8));
  frame[10 + 14 + 20] = type;
  stack.frame(0, net.place(frame));
  expect(net.host.calls).toEqual([]);
  expect(net.counters.snapshot()).toMatchObject({ dropIcmpType: 1 });
});
