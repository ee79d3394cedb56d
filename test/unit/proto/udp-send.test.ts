import { beforeEach, expect, test } from "@jest/globals";
import { VnetGso } from "../../../src/wire/vnet.ts";
import type { Sent } from "../../support/fake-socket.ts";
import { FakeStack } from "../../support/fake-stack.ts";
import { pattern } from "../../support/frames.ts";

let fake: FakeStack;
beforeEach(() => {
  fake = new FakeStack();
});

const lengths = (sent: readonly Sent[]): string[] =>
  sent.map(({ bytes, segment }) => (segment === 0 ? `${bytes.length}` : `${bytes.length} in ${segment}`));

test("datagrams of one size leave as a train, a shorter one ends it, an empty one is alone", () => {
  const sizes = [100, 100, 100, 50, 50, 60, 0, 0, 70, 70];
  fake.send(...sizes.map((size, i) => ({ payload: pattern(size, i) })));
  const { sent } = fake.net.host.socket;
  expect(lengths(sent)).toEqual(["350 in 100", "50", "60", "0", "0", "140 in 70"]);
  const all = Buffer.concat(sizes.map((size, i) => pattern(size, i)));
  expect(Buffer.concat(sent.map(({ bytes }) => bytes)).equals(all)).toBe(true);
});

test("a train has at most 64 datagrams and the bytes of one packet", () => {
  fake.send(...Array.from({ length: 130 }, () => ({ payload: pattern(8) })));
  expect(lengths(fake.net.host.socket.sent)).toEqual(["512 in 8", "512 in 8", "16 in 8"]);
  fake = new FakeStack();
  fake.send(...Array.from({ length: 60 }, () => ({ payload: pattern(1400) })));
  expect(lengths(fake.net.host.socket.sent)).toEqual(["64400 in 1400", "19600 in 1400"]);
});

test("trains of several flows are sorted out", () => {
  const order = [1, 2, 1, 2, 2, 1];
  fake.send(...order.map((sourcePort) => ({ sourcePort, payload: pattern(10, sourcePort) })));
  expect(fake.net.host.sockets.map(({ sent }) => lengths(sent))).toEqual([["30 in 10"], ["30 in 10"]]);
});

test("a train that the container sent keeps its size", () => {
  const gso = { type: VnetGso.UdpL4, size: 1000 };
  fake.send({ payload: pattern(500) }, { payload: pattern(3500), gso }, { payload: pattern(500) });
  expect(lengths(fake.net.host.socket.sent)).toEqual(["500", "3500 in 1000", "500"]);
  fake = new FakeStack();
  fake.send({ payload: pattern(100 * 65), gso: { ...gso, size: 100 } });
  expect(lengths(fake.net.host.socket.sent)).toEqual(["6400 in 100", "100"]);
});

test("datagrams with another hop limit or fragmentation leave apart", () => {
  fake.send({}, {}, { hopLimit: 1 }, { hopLimit: 1 }, { hopLimit: 1, dontFragment: false }, {});
  expect(fake.net.host.calls.slice(5)).toEqual([
    "setHopLimit 5 64",
    "setDontFragment 5 true",
    "sendTrain 5 20 in 10",
    "setHopLimit 5 1",
    "sendTrain 5 20 in 10",
    "setDontFragment 5 false",
    "send 5 10",
    "setHopLimit 5 64",
    "setDontFragment 5 true",
    "send 5 10",
  ]);
});

test("a way without trains takes datagrams one by one from then on", () => {
  fake.net.host.script("sendTrain", -5);
  fake.send({}, {}, {});
  expect(lengths(fake.net.host.socket.sent)).toEqual(["10", "10", "10"]);
  fake.send({}, {});
  expect(lengths(fake.net.host.socket.sent)).toEqual(["10", "10", "10", "10", "10"]);
  fake = new FakeStack();
  fake.net.host.script("sendTrain", -90);
  fake.send({}, {});
  fake.send({}, {});
  expect(lengths(fake.net.host.socket.sent)).toEqual(["10", "10", "20 in 10"]);
});

test("a full socket loses the datagram and says nothing", () => {
  fake.send({});
  fake.net.host.socket.space = 0;
  fake.send({}, {}, { payload: pattern(3) });
  expect(fake.net.counters.snapshot()).toMatchObject({ dropUdpSend: 3 });
  expect(fake.net.takeFrames()).toEqual([]);
});
