import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { Count } from "../../src/base/counters.ts";
import { ARP_LENGTH, ArpOperation, writeArp } from "../../src/wire/arp.ts";
import { EtherType } from "../../src/wire/ethernet.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";
import { TCP_LENGTH, writeTcp } from "../../src/wire/tcp.ts";
import { dhcpMessage } from "../support/dhcp-messages.ts";
import { FakeStack, FAILED, READABLE } from "../support/fake-stack.ts";
import {
  echoFrame,
  ethernetFrame,
  ipFrame,
  type PacketOptions,
  pattern,
  udpDatagram,
  udpFrame,
} from "../support/frames.ts";

const FRAMES = process.env["LONG"] === "1" ? 1_000_000 : 100_000;
const RUNS = 50;
const BATCH = 40;
/** Bytes behind the frame that must stay as they are. */
const GUARD = 64;
const PEERS = ["198.51.100.1", "198.51.100.2", "192.0.2.1", "2001:db8:1::1", "fe80::1", "ff02::1"];
/** A frame may push out datagrams of earlier ones, which the socket then refuses. */
const DROPS = Object.entries(Count).filter(([name]) => name.startsWith("drop") && name !== "dropUdpSend");

/** Numbers below `bound`, the same for the same seed (mulberry32). */
function randomFrom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
type Random = ReturnType<typeof randomFrom>;

/** A frame that means something. */
function validFrame(random: Random): Uint8Array {
  const to = PEERS[random(PEERS.length)];
  const payload = pattern(random(4) === 0 ? random(3000) : random(100));
  const options: PacketOptions = { hopLimit: random(3) === 0 ? 255 : 64 };
  switch (random(9)) {
    case 0:
      return udpFrame(to, random(4) * 53, payload, { ...options, sourcePort: random(20) });
    case 1: {
      const fragment = { offset: random(6) * 8, more: random(2) === 0, id: random(70) };
      const length = fragment.more ? 8 * random(5) : random(40);
      return ipFrame(to, [6, 17, 58][random(3)], udpDatagram(5, 7, pattern(64)).slice(0, length), {
        ...options,
        fragment,
      });
    }
    case 2:
      return echoFrame(to, random(10), random(5), payload, options);
    case 3: {
      const segment = new Uint8Array(TCP_LENGTH + payload.length);
      const [source, sequence] = [random(10), random(5000)];
      const view = new DataView(segment.buffer);
      writeTcp(view, 0, source, 80, sequence, random(5000), TCP_LENGTH, random(64), random(65_536));
      return ipFrame(to, IpProtocol.Tcp, segment, options);
    }
    case 4: {
      const packet = new Uint8Array(ARP_LENGTH);
      const mac = new Uint8Array(6);
      writeArp(new DataView(packet.buffer), 0, ArpOperation.Request, mac, random(2 ** 31), mac, 1);
      return ethernetFrame(EtherType.Arp, packet);
    }
    case 5: {
      const message = new Uint8Array(24 + 8 * random(3));
      message.set([133 + random(4), 0, 0, 0, 0, 0, 0, 0, 0x20], 0);
      if (message.length > 24) message.set([1, 1], 24);
      return ipFrame("ff02::1", IpProtocol.Icmp6, message, { hopLimit: 255 });
    }
    case 6: {
      const gso = { type: [0, 1, 3, 4, 5, 0x81][random(6)], size: random(200) };
      return udpFrame(to, 9, payload, { ...options, gso });
    }
    case 7:
      return dhcpFrame(random, options);
    default: {
      const types = [0x0800, 0x86dd, 0x0806, random(65_536)];
      return ethernetFrame(types[random(types.length)], payload);
    }
  }
}

/** A message to a DHCP server, mostly one that it answers. */
function dhcpFrame(random: Random, options: PacketOptions): Uint8Array {
  const hex = (length: number): string => Buffer.from(pattern(length, random(256))).toString("hex");
  const v6 = random(2) === 0;
  const some = v6
    ? [
        "client",
        "server",
        "na",
        "na(2001:db8::10)",
        "ta",
        "pd",
        "14=",
        "39=01",
        "6=0027",
        `3=${hex(random(20))}`,
      ]
    : ["80=", "50=c000020a", "54=c0000201", "57=0000", "81=01", "55=0306", "61=01", `50=${hex(random(9))}`];
  const words = Array.from({ length: random(5) }, () => some[random(some.length)]);
  words.push(`${random(256)}=${hex(random(300) === 0 ? 250 : random(10))}`);
  const type = random(v6 ? 14 : 9);
  const message = dhcpMessage([v6 ? "dhcp6" : "dhcp4", type, ...words].join(" "));
  const to = v6 ? ["ff02::1:2", "fe80::1"] : ["255.255.255.255", "192.0.2.1"];
  const from = random(4) === 0 ? { from: v6 ? "::" : "0.0.0.0" } : {};
  const more = { ...options, ...from, sourcePort: v6 ? 546 : 68 };
  return udpFrame(to[random(2)], v6 ? 547 : 67, message!, more);
}

/** Usually a valid frame with some bytes changed, cut, or both; sometimes nothing but noise. */
function frameFrom(random: Random): Uint8Array {
  if (random(10) === 0) return Uint8Array.from({ length: random(100) }, () => random(256));
  let frame = validFrame(random);
  for (let changes = random(4); changes > 0 && frame.length > 0; changes--) {
    // Headers matter most.
    const at = random(Math.min(frame.length, random(2) === 0 ? 100 : frame.length));
    frame[at] = random(3) === 0 ? [0, 1, 0x7f, 0x80, 0xff][random(5)] : random(256);
  }
  if (random(5) === 0) frame = frame.slice(0, random(frame.length + 1));
  return frame;
}

function droppedBy(fake: FakeStack): number {
  let sum = 0;
  for (const [, counter] of DROPS) sum += fake.net.counters.values[counter];
  return sum;
}

/** What the sockets of a hostile world may do between two batches. */
function disturb(fake: FakeStack, random: Random): void {
  const { host } = fake.net;
  for (const socket of host.sockets) {
    if (socket.closed !== "open" || random(3) !== 0) continue;
    socket.space = [Infinity, 0, 10][random(3)];
    if (random(2) === 0) socket.inbox.push({ bytes: pattern(random(200)), segment: random(2) * 50 });
    if (random(4) === 0) socket.error = 111;
    if (random(3) === 0) {
      const [errno, origin] = [[111, 113, 90][random(3)], random(4)];
      const payload = pattern(random(60));
      socket.errors.push({
        errno,
        origin,
        type: random(256),
        code: random(256),
        info: random(2000),
        payload,
      });
    }
    if (socket.flow >= 0)
      fake.stack.socketEvent(socket.side, [READABLE, FAILED, READABLE | FAILED, 4][random(4)]);
  }
  fake.stack.service();
}

/** Gives the stack frames of one seed; returns what is wrong, or an empty text. */
function torture(seed: number, frames: number): string {
  const random = randomFrom(seed);
  const fake = new FakeStack({ capacity: 16, offload: random(2) === 0, udpOffload: random(2) === 0 });
  const { net, stack } = fake;
  net.link.v4.dhcp = net.link.v6.dhcp = net.link.routerAdvertisements = true;
  net.link.follows = random(2) === 0;
  net.link.advertise.fqdn = "box.corp.test";
  net.link.advertise.searchDomains = ["corp.test", "lab.corp.test"];
  const { bytes } = net.host.arena;
  const received = Buffer.from(bytes.buffer, net.plan.receiveAt, net.plan.receiveLength);
  for (let done = 0; done < frames; done += BATCH) {
    let at = net.plan.receiveAt;
    for (let i = 0; i < BATCH; i++) {
      const frame = frameFrom(random);
      const end = net.place(frame, at);
      bytes.fill(0xa5, end, end + GUARD);
      const before = Buffer.from(received.subarray(0, end + GUARD));
      const dropped = droppedBy(fake);
      stack.frame(at, end);
      if (before.compare(received, 0, end + GUARD) !== 0) return `frame ${done + i} was written to`;
      if (droppedBy(fake) > dropped + 1) return `frame ${done + i} was counted twice`;
      at = end;
    }
    stack.endOfFrames();
    disturb(fake, random);
    stack.endOfCycle();
    net.advance(random(20_000));
    stack.startOfCycle();
    stack.endOfCycle();
    net.host.frames.length = 0;
    net.host.calls.length = 0;
  }
  const open = net.host.sockets.filter(({ closed }) => closed === "open").length;
  return open === net.flows.active ? "" : `${open} sockets are open for ${net.flows.active} flows`;
}

test(
  "whatever the container sends, nothing but counters and its own flows change",
  () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        expect(torture(seed, FRAMES / RUNS)).toBe("");
      }),
      { numRuns: RUNS },
    );
  },
  FRAMES,
);
