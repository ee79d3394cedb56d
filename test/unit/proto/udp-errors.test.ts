import { beforeEach, expect, test } from "@jest/globals";
import { describeFrame } from "../../../src/wire/describe.ts";
import type { Sent } from "../../support/fake-socket.ts";
import { ip } from "../../support/fake-net.ts";
import { FAILED, FakeStack } from "../../support/fake-stack.ts";
import { pattern } from "../../support/frames.ts";

const PEER = "198.51.100.1";
const PEER_6 = "2001:db8:1::1";

let fake: FakeStack;
beforeEach(() => {
  fake = new FakeStack();
});

const lengths = (sent: readonly Sent[]): string[] =>
  sent.map(({ bytes, segment }) => (segment === 0 ? `${bytes.length}` : `${bytes.length} in ${segment}`));

test("no route is told as ICMP", () => {
  fake.net.host.script("connect", -101);
  fake.send({});
  fake.net.host.script("connect", -113);
  fake.send({ to: PEER_6 });
  expect(fake.net.takeFrames()).toEqual([
    expect.stringContaining("198.51.100.1 > 192.0.2.10: ICMP net unreachable"),
    expect.stringMatching(/2001:db8:1::1 > 2001:db8::10: ICMPv6 .*unreachable/),
  ]);
});

test("the error of one datagram does not cost the next", () => {
  fake.send({});
  const { socket } = fake.net.host;
  socket.error = 111;
  socket.errors.push({ errno: 111, origin: 2, type: 3, code: 3, offender: ip(PEER), payload: pattern(10) });
  fake.send({}, {});
  expect(lengths(socket.sent)).toEqual(["10", "20 in 10"]);
  expect(fake.net.takeFrames()).toEqual([
    expect.stringContaining("198.51.100.1 > 192.0.2.10: ICMP port unreachable"),
  ]);
  socket.error = 111;
  fake.send({});
  expect(socket.sent.length).toBe(3);
  expect(fake.net.counters.snapshot().dropUdpSend).toBeUndefined();
});

test("a datagram that is too large for the host's MTU tells the container the MTU, once", () => {
  fake.send({});
  const { socket } = fake.net.host;
  fake.net.host.script("send", -90);
  socket.errors.push({ errno: 90, origin: 1, info: 1400 });
  fake.send({ payload: pattern(1450) });
  expect(lengths(socket.sent)).toEqual(["10"]);
  const [frame] = fake.net.host.frames;
  const view = new DataView(frame.buffer);
  expect(fake.net.takeFrames()).toEqual([
    expect.stringMatching(/198.51.100.1 > 192.0.2.10: ICMP .*fragmentation needed.*1400|need to frag/),
  ]);
  // The quoted packet is whole in its lengths.
  const quoted = 10 + 14 + 20 + 8;
  expect(view.getUint16(quoted + 2)).toBe(20 + 8 + 1450);
  expect(view.getUint16(quoted + 20 + 4)).toBe(8 + 1450);
});

test("errors come from the offender, as the container knows it", () => {
  fake.net.rules.v4.mapHostLoopback = ip("192.0.2.1");
  fake.send({});
  const { socket } = fake.net.host;
  const entry = { errno: 113, origin: 2, type: 11, code: 0, payload: pattern(30) };
  for (const offender of ["198.51.100.77", PEER, "127.0.0.1", "192.0.2.10"]) {
    socket.errors.push({ ...entry, offender: ip(offender) });
  }
  socket.errors.push(entry);
  fake.event(socket, FAILED);
  const sources = fake.net.takeFrames().map((text) => text.split(" ")[0]);
  expect(sources).toEqual(["198.51.100.77", PEER, "192.0.2.1", "192.0.2.1", PEER]);
  expect(fake.net.counters.snapshot()).toMatchObject({ icmpErrorsSent: 5 });
});

test("errors about IPv6 quote as much as the least MTU takes", () => {
  fake.send({ to: PEER_6 });
  const { socket } = fake.net.host;
  const payload = pattern(1232);
  socket.errors.push({ errno: 113, origin: 3, type: 1, code: 3, offender: ip(PEER_6), payload });
  fake.event(socket, FAILED);
  expect(fake.net.host.frames[0].length).toBe(10 + 14 + 1280);
  const view = new DataView(fake.net.host.frames[0].buffer);
  expect(describeFrame(view, 10, view.byteLength)).toContain("ICMPv6");
  // The quoted datagram: from the container to the peer, with its first bytes.
  const quoted = 10 + 14 + 40 + 8;
  expect(view.getUint16(quoted + 40)).toBe(5000);
  expect(fake.net.host.frames[0].slice(quoted + 48, quoted + 58)).toEqual(pattern(10));
});

test("groups are never spoken for", () => {
  fake.send({ to: "239.255.255.250", port: 1900 });
  const { socket } = fake.net.host;
  socket.errors.push({ errno: 111, origin: 2, type: 3, code: 3, offender: ip(PEER) });
  fake.event(socket, FAILED);
  expect(fake.net.takeFrames()).toEqual([]);
});

test("error events without errors end the flow before they end us", () => {
  fake.send({});
  const { socket } = fake.net.host;
  for (let i = 0; i < 7; i++) fake.event(socket, FAILED);
  expect(socket.closed).toBe("open");
  fake.event(socket, FAILED);
  expect(socket.closed).toBe("closed");
  expect(fake.net.flows.active).toBe(0);
});

test("a way that is gone is told once for a whole train", () => {
  fake.send({});
  fake.net.host.script("sendTrain", -101, -101);
  fake.net.host.script("send", -101, -101);
  fake.send({}, {}, {});
  expect(fake.net.takeFrames()).toEqual([expect.stringContaining("ICMP net unreachable")]);
  expect(fake.net.counters.snapshot()).toMatchObject({ dropUdpSend: 3 });
});
