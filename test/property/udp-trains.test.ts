import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { Pif } from "../../src/flow/state.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";
import { vnetGsoSize, vnetGsoType, VnetGso } from "../../src/wire/vnet.ts";
import { type Datagram, FakeStack, READABLE } from "../support/fake-stack.ts";
import { ip } from "../support/fake-net.ts";
import { pattern } from "../support/frames.ts";
import { portRule } from "../support/port-rule.ts";

const HEADERS_4 = 10 + 14 + 20 + 8;
const HEADERS_6 = HEADERS_4 + 20;

/** Sizes that repeat, and those where something ends: padding, MTU, a packet. */
const size = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 59, 60, 61, 100, 1200, 1452, 1453) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 65_507 }) },
);

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** The datagrams of a train, whose size is 0 for one that is alone. */
function cut(bytes: Uint8Array, segment: number): string[] {
  const step = Math.max(1, segment > 0 ? segment : bytes.length);
  const count = Math.max(1, Math.ceil(bytes.length / step));
  return Array.from({ length: count }, (_, i) => text(bytes.slice(i * step, (i + 1) * step)));
}

/** The datagrams that frames to the container stand for. */
function datagramsOf(frames: readonly Uint8Array[], headers: number): string[] {
  return frames.flatMap((frame) => {
    const view = new DataView(frame.buffer);
    // The length in the UDP header: short frames are padded.
    const length = view.getUint16(headers - 4) - 8;
    const isTrain = vnetGsoType(view, 0) === VnetGso.UdpL4;
    const segment = isTrain ? vnetGsoSize(view, 0) : Math.max(1, length);
    const count = Math.max(1, Math.ceil(length / segment));
    return Array.from({ length: count }, (_, i) => {
      const start = headers + i * segment;
      return Buffer.from(frame.slice(start, Math.min(start + segment, headers + length))).toString("latin1");
    });
  });
}

test("the container receives the datagrams that came, whatever trains they travel in", () => {
  const arrival = fc.record({ each: size, count: fc.integer({ min: 1, max: 5 }), shorter: fc.nat(100) });
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 30 }), fc.boolean(), fc.boolean(), (arrivals, v6, uso) => {
      const fake = new FakeStack({ udpOffload: uso });
      fake.send({ to: v6 ? "2001:db8:1::1" : "198.51.100.1" });
      const { socket } = fake.net.host;
      const wanted: string[] = [];
      arrivals.forEach(({ each, count, shorter }, n) => {
        const length = each === 0 ? 0 : Math.max(1, Math.min(65_507, each * count) - (shorter % each));
        const bytes = pattern(length, n);
        socket.inbox.push({ bytes, segment: length > each ? each : 0 });
        wanted.push(...cut(bytes, each));
      });
      for (let turn = 0; turn < 20; turn++) fake.event(socket, READABLE);
      expect(datagramsOf(fake.net.host.frames, v6 ? HEADERS_6 : HEADERS_4)).toEqual(wanted);
    }),
    { numRuns: 300 },
  );
});

test("the host sends the datagrams that the container sent, whatever trains they travel in", () => {
  const datagram = fc.record({
    length: size,
    hopLimit: fc.constantFrom(64, 64, 64, 3),
    sourcePort: fc.constantFrom(1, 1, 2),
    // At most 128 datagrams in a frame.
    segment: fc.constantFrom(0, 0, 0, 600),
  });
  fc.assert(
    fc.property(fc.array(datagram, { maxLength: 12 }), (datagrams) => {
      const fake = new FakeStack();
      const wanted = new Map<number, string[]>();
      fake.send(
        ...datagrams.map(({ length, hopLimit, sourcePort, segment }, n): Datagram => {
          const payload = pattern(length, n);
          wanted.set(sourcePort, [...(wanted.get(sourcePort) ?? []), ...cut(payload, segment)]);
          const gso = segment > 0 ? { type: VnetGso.UdpL4, size: segment } : undefined;
          return { payload, hopLimit, sourcePort, ...(gso === undefined ? {} : { gso }) };
        }),
      );
      const sent = fake.net.host.sockets.map((socket) =>
        socket.sent.flatMap(({ bytes, segment }) => cut(bytes, segment)),
      );
      expect(sent).toEqual([...wanted.values()]);
    }),
    { numRuns: 300 },
  );
});

test("past the TAP, datagrams arrive as they were sent, whatever trains they travel in", () => {
  const arrival = fc.record({
    each: size,
    count: fc.integer({ min: 1, max: 5 }),
    shorter: fc.nat(100),
    fromPort: fc.constantFrom(5000, 5000, 5001),
  });
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 30 }), fc.boolean(), (arrivals, v6) => {
      const fake = new FakeStack();
      const listener = fake.net.host.listen("udp", true, Pif.Host);
      const slot = fake.net.listeners.add(listener.fd, 7, portRule({ protocol: IpProtocol.Udp, first: 7 }));
      const loopback = ip(v6 ? "::1" : "127.0.0.1");
      const wanted = new Map<number, string[]>();
      arrivals.forEach(({ each, count, shorter, fromPort }, n) => {
        const length = each === 0 ? 0 : Math.max(1, Math.min(65_507, each * count) - (shorter % each));
        const bytes = pattern(length, n);
        const client = { from: loopback, fromPort, to: loopback, toPort: 7 };
        listener.inbox.push({ bytes, segment: length > each ? each : 0, client });
        wanted.set(fromPort, [...(wanted.get(fromPort) ?? []), ...cut(bytes, each)]);
      });
      const turns = (turn: () => void): void => {
        for (let i = 0; i < 20; i++) {
          turn();
          fake.stack.service();
        }
      };
      turns(() => fake.stack.listenerEvent(slot, READABLE));
      const servers = fake.net.host.sockets.slice(1);
      const sent = servers.map((server) => server.sent.flatMap(({ bytes, segment }) => cut(bytes, segment)));
      expect(sent).toEqual([...wanted.values()]);
      // And back, as they came.
      for (const server of servers) server.inbox.push(...server.sent.splice(0));
      turns(() => servers.forEach((server) => fake.stack.socketEvent(server.side, READABLE)));
      const answers = new Map<string, string[]>();
      for (const { bytes, segment, way } of listener.sent) {
        answers.set(way!, [...(answers.get(way!) ?? []), ...cut(bytes, segment)]);
      }
      expect([...answers.values()]).toEqual([...wanted.values()]);
    }),
    { numRuns: 300 },
  );
});
