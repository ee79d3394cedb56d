/** What is written is read back, at any offset and over whatever was there, and nothing else is touched. */
import { describe, expect, test } from "@jest/globals";
import * as fc from "fast-check";
import * as arp from "../../src/wire/arp.ts";
import { checksum, sumBytes } from "../../src/wire/checksum.ts";
import { decodeDnsNames, encodeDnsName } from "../../src/wire/dns-name.ts";
import * as ethernet from "../../src/wire/ethernet.ts";
import * as icmp4 from "../../src/wire/icmp4.ts";
import * as icmp6 from "../../src/wire/icmp6.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import * as ndp from "../../src/wire/ndp.ts";
import * as router from "../../src/wire/router-advertisement.ts";
import * as options from "../../src/wire/tcp-options.ts";
import * as tcp from "../../src/wire/tcp.ts";
import * as udp from "../../src/wire/udp.ts";
import * as vnet from "../../src/wire/vnet.ts";

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
const words = fc.tuple(u32, u32, u32, u32).map((four) => Uint32Array.from(four));

/**
 * Runs `write` at `at` in memory filled with `fill`, and checks that only `[at, at + length)` changed.
 */
function writeAt(at: number, length: number, fill: number, write: (view: DataView) => void): DataView {
  const bytes = new Uint8Array(at + length + 8).fill(fill);
  const view = new DataView(bytes.buffer);
  write(view);
  expect(bytes.subarray(0, at).every((byte) => byte === fill)).toBe(true);
  expect(bytes.subarray(at + length).every((byte) => byte === fill)).toBe(true);
  return view;
}

/** Where a header starts, and what the memory holds before. */
const place = { at: fc.integer({ min: 0, max: 67 }), fill: fc.constantFrom(0, 0xff, 0xa5) };

const macAt = (view: DataView, at: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + at, 6).slice();

describe("headers", () => {
  test("Ethernet", () => {
    fc.assert(
      fc.property(fc.record({ ...place, destination: mac, source: mac, type: u16 }), (p) => {
        const view = writeAt(p.at, 14, p.fill, (v) =>
          ethernet.writeEthernet(v, p.at, p.destination, p.source, p.type),
        );
        expect(macAt(view, p.at + ethernet.ETHERNET_DESTINATION)).toEqual(p.destination);
        expect(macAt(view, p.at + ethernet.ETHERNET_SOURCE)).toEqual(p.source);
        expect(ethernet.etherType(view, p.at)).toBe(p.type);
      }),
    );
  });

  test("virtio-net", () => {
    const fields = { flags: u8, type: u8, header: u16, size: u16, start: u16, offset: u16 };
    fc.assert(
      fc.property(fc.record({ ...place, ...fields }), (p) => {
        const view = writeAt(p.at, vnet.VNET_LENGTH, p.fill, (v) =>
          vnet.writeVnet(v, p.at, p.flags, p.type, p.header, p.size, p.start, p.offset),
        );
        expect([
          vnet.vnetFlags(view, p.at),
          vnet.vnetGsoType(view, p.at),
          vnet.vnetHeaderLength(view, p.at),
          vnet.vnetGsoSize(view, p.at),
          vnet.vnetChecksumStart(view, p.at),
          vnet.vnetChecksumOffset(view, p.at),
        ]).toEqual([p.flags, p.type, p.header, p.size, p.start, p.offset]);
      }),
    );
  });

  test("IPv4", () => {
    const fields = {
      payload: fc.integer({ min: 0, max: 80 }),
      protocol: u8,
      ttl: u8,
      source: u32,
      destination: u32,
    };
    fc.assert(
      fc.property(fc.record({ ...place, ...fields }), (p) => {
        const total = 20 + p.payload;
        const view = writeAt(p.at, total, p.fill, (v) => {
          ipv4.writeIpv4(v, p.at, total, p.protocol, p.ttl, p.source, p.destination);
        });
        expect(ipv4.isIpv4Valid(view, p.at, p.at + total)).toBe(true);
        expect([
          ipv4.ipv4HeaderLength(view, p.at),
          ipv4.ipv4TotalLength(view, p.at),
          ipv4.ipv4Protocol(view, p.at),
          ipv4.ipv4Ttl(view, p.at),
          ipv4.ipv4Source(view, p.at),
          ipv4.ipv4Destination(view, p.at),
          ipv4.ipv4Id(view, p.at),
          ipv4.ipv4Tos(view, p.at),
          ipv4.ipv4FragmentOffset(view, p.at),
        ]).toEqual([20, total, p.protocol, p.ttl, p.source, p.destination, 0, 0, 0]);
        expect(ipv4.ipv4DontFragment(view, p.at)).toBe(true);
        expect(ipv4.ipv4MoreFragments(view, p.at)).toBe(false);
        expect(checksum(sumBytes(view, p.at, 20))).toBe(0);
      }),
    );
  });

  test("IPv6", () => {
    const fields = {
      payload: fc.integer({ min: 0, max: 80 }),
      next: u8,
      hops: u8,
      source: words,
      destination: words,
      label: fc.integer({ min: 0, max: 0xfffff }),
    };
    fc.assert(
      fc.property(fc.record({ ...place, ...fields }), (p) => {
        const view = writeAt(p.at, 40 + p.payload, p.fill, (v) =>
          ipv6.writeIpv6(v, p.at, p.payload, p.next, p.hops, p.source, 0, p.destination, 0, p.label),
        );
        expect(ipv6.isIpv6Valid(view, p.at, p.at + 40 + p.payload)).toBe(true);
        expect([
          ipv6.ipv6PayloadLength(view, p.at),
          ipv6.ipv6NextHeader(view, p.at),
          ipv6.ipv6HopLimit(view, p.at),
          ipv6.ipv6FlowLabel(view, p.at),
        ]).toEqual([p.payload, p.next, p.hops, p.label]);
        expect(ipv6.ipv6Words(view, p.at + ipv6.IPV6_SOURCE)).toEqual(p.source);
        expect(ipv6.ipv6Words(view, p.at + ipv6.IPV6_DESTINATION)).toEqual(p.destination);
      }),
    );
  });

  test("UDP", () => {
    const fields = { source: u16, destination: u16, length: fc.integer({ min: 8, max: 0xffff }), sum: u16 };
    fc.assert(
      fc.property(fc.record({ ...place, ...fields }), (p) => {
        const view = writeAt(p.at, 8, p.fill, (v) =>
          udp.writeUdp(v, p.at, p.source, p.destination, p.length),
        );
        expect(udp.isUdpValid(view, p.at, p.at + p.length)).toBe(true);
        expect(udp.udpChecksum(view, p.at)).toBe(0);
        udp.setUdpChecksum(view, p.at, p.sum);
        expect([
          udp.udpSourcePort(view, p.at),
          udp.udpDestinationPort(view, p.at),
          udp.udpLength(view, p.at),
          udp.udpChecksum(view, p.at),
        ]).toEqual([p.source, p.destination, p.length, p.sum]);
      }),
    );
  });

  test("TCP with its options", () => {
    const fields = {
      source: u16,
      destination: u16,
      sequence: u32,
      ack: u32,
      flags: u8,
      window: u16,
      sum: u16,
      mss: u16,
      scale: u8,
    };
    fc.assert(
      fc.property(fc.record({ ...place, ...fields }), (p) => {
        const length = 20 + options.MSS_LENGTH + options.WINDOW_SCALE_LENGTH;
        const view = writeAt(p.at, length, p.fill, (v) => {
          tcp.writeTcp(v, p.at, p.source, p.destination, p.sequence, p.ack, length, p.flags, p.window);
          options.writeMss(v, p.at + 20, p.mss);
          options.writeWindowScale(v, p.at + 20 + options.MSS_LENGTH, p.scale);
          tcp.setTcpChecksum(v, p.at, p.sum);
        });
        expect(tcp.isTcpValid(view, p.at, p.at + length)).toBe(true);
        expect([
          tcp.tcpSourcePort(view, p.at),
          tcp.tcpDestinationPort(view, p.at),
          tcp.tcpSequence(view, p.at),
          tcp.tcpAcknowledgment(view, p.at),
          tcp.tcpHeaderLength(view, p.at),
          tcp.tcpFlags(view, p.at),
          tcp.tcpWindow(view, p.at),
          view.getUint16(p.at + tcp.TCP_CHECKSUM),
          options.tcpMss(view, p.at),
          options.tcpWindowScale(view, p.at),
        ]).toEqual([
          p.source,
          p.destination,
          p.sequence,
          p.ack,
          length,
          p.flags,
          p.window,
          p.sum,
          p.mss,
          p.scale,
        ]);
        expect(options.tcpSackPermitted(view, p.at)).toBe(false);
      }),
    );
  });

  test("ARP", () => {
    const fields = { operation: u16, senderMac: mac, senderIp: u32, targetMac: mac, targetIp: u32 };
    fc.assert(
      fc.property(fc.record({ ...place, ...fields }), (p) => {
        const view = writeAt(p.at, arp.ARP_LENGTH, p.fill, (v) =>
          arp.writeArp(v, p.at, p.operation, p.senderMac, p.senderIp, p.targetMac, p.targetIp),
        );
        expect(arp.isArpValid(view, p.at, p.at + arp.ARP_LENGTH)).toBe(true);
        expect(arp.arpOperation(view, p.at)).toBe(p.operation);
        expect(macAt(view, p.at + arp.ARP_SENDER_MAC)).toEqual(p.senderMac);
        expect(arp.arpSenderIp(view, p.at)).toBe(p.senderIp);
        expect(macAt(view, p.at + arp.ARP_TARGET_MAC)).toEqual(p.targetMac);
        expect(arp.arpTargetIp(view, p.at)).toBe(p.targetIp);
      }),
    );
  });

  test("ICMP and ICMPv6 echoes and errors with any data", () => {
    const fields = {
      type: u8,
      code: u8,
      id: u16,
      sequence: u16,
      mtu: u16,
      data: fc.uint8Array(),
      pseudo: u32,
    };
    fc.assert(
      fc.property(fc.record({ ...place, ...fields }), (p) => {
        const end = p.at + 8 + p.data.length;
        const message = (write: (view: DataView) => void): DataView =>
          writeAt(p.at, end - p.at, p.fill, (v) => {
            new Uint8Array(v.buffer).set(p.data, p.at + 8);
            write(v);
          });
        const echo4 = message((v) => {
          icmp4.writeIcmp4Echo(v, p.at, p.type, p.id, p.sequence);
          icmp4.sealIcmp4(v, p.at, end);
        });
        expect(icmp4.isIcmp4ChecksumRight(echo4, p.at, end)).toBe(true);
        expect([icmp4.icmp4Type(echo4, p.at), icmp4.icmp4Code(echo4, p.at)]).toEqual([p.type, 0]);
        expect([icmp4.icmp4Id(echo4, p.at), icmp4.icmp4Sequence(echo4, p.at)]).toEqual([p.id, p.sequence]);
        const error4 = message((v) => {
          icmp4.writeIcmp4Error(v, p.at, p.type, p.code, p.mtu);
          icmp4.sealIcmp4(v, p.at, end);
        });
        expect(icmp4.isIcmp4ChecksumRight(error4, p.at, end)).toBe(true);
        expect([icmp4.icmp4Code(error4, p.at), icmp4.icmp4Mtu(error4, p.at)]).toEqual([p.code, p.mtu]);
        const echo6 = message((v) => {
          icmp6.writeIcmp6Echo(v, p.at, p.type, p.id, p.sequence);
          icmp6.sealIcmp6(v, p.at, end, p.pseudo);
        });
        expect(icmp6.isIcmp6ChecksumRight(echo6, p.at, end, p.pseudo)).toBe(true);
        expect([icmp6.icmp6Type(echo6, p.at), icmp6.icmp6Code(echo6, p.at)]).toEqual([p.type, 0]);
        expect([icmp6.icmp6Id(echo6, p.at), icmp6.icmp6Sequence(echo6, p.at)]).toEqual([p.id, p.sequence]);
        const error6 = message((v) => {
          icmp6.writeIcmp6Error(v, p.at, p.type, p.code, p.mtu);
          icmp6.sealIcmp6(v, p.at, end, p.pseudo);
        });
        expect(icmp6.isIcmp6ChecksumRight(error6, p.at, end, p.pseudo)).toBe(true);
        expect([icmp6.icmp6Code(error6, p.at), icmp6.icmp6Mtu(error6, p.at)]).toEqual([p.code, p.mtu]);
      }),
    );
  });

  test("neighbour solicitations and advertisements", () => {
    const target = words.filter((four) => four[0] >>> 24 !== 0xff);
    fc.assert(
      fc.property(fc.record({ ...place, target, mac, flags: u8 }), (p) => {
        const end = p.at + 32;
        const solicitation = writeAt(p.at, 32, p.fill, (v) =>
          expect(ndp.writeNeighborSolicitation(v, p.at, p.target, 0, p.mac)).toBe(32),
        );
        expect(ndp.isNeighborSolicitationValid(solicitation, p.at, end)).toBe(true);
        expect(ipv6.ipv6Words(solicitation, p.at + ndp.NDP_TARGET)).toEqual(p.target);
        expect(macAt(solicitation, ndp.neighborSourceMacAt(solicitation, p.at, end))).toEqual(p.mac);
        const advertisement = writeAt(p.at, 32, p.fill, (v) =>
          expect(ndp.writeNeighborAdvertisement(v, p.at, p.flags, p.target, 0, p.mac)).toBe(32),
        );
        expect(ndp.isNeighborAdvertisementValid(advertisement, p.at, end)).toBe(true);
        expect(ndp.neighborFlags(advertisement, p.at)).toBe(p.flags);
        expect(ipv6.ipv6Words(advertisement, p.at + ndp.NDP_TARGET)).toEqual(p.target);
        expect(macAt(advertisement, ndp.neighborTargetMacAt(advertisement, p.at, end))).toEqual(p.mac);
      }),
    );
  });
});

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const v6 = words.filter((four) => four[0] !== 0);

test("router advertisements are read back", () => {
  const prefix = fc.record({
    address: v6,
    length: fc.integer({ min: 0, max: 128 }),
    onLink: fc.boolean(),
    autonomous: fc.boolean(),
    validSeconds: u32,
    preferredSeconds: u32,
  });
  const route = fc.record({ address: v6, length: fc.integer({ min: 65, max: 128 }), seconds: u32 });
  const resolvers = fc.record({ addresses: fc.array(v6, { minLength: 1, maxLength: 4 }), seconds: u32 });
  const searchList = fc.record({
    domains: fc.array(name, { minLength: 1, maxLength: 2 }),
    seconds: u32,
  });
  const message = fc.record({
    hopLimit: u8,
    managed: fc.boolean(),
    other: fc.boolean(),
    lifetimeSeconds: u16,
    reachableMs: u32,
    retransmissionMs: u32,
    sourceMac: fc.option(mac, { nil: undefined }),
    mtu: fc.option(u32, { nil: undefined }),
    prefixes: fc.array(prefix, { maxLength: 4 }),
    routes: fc.array(route, { maxLength: 4 }),
    resolvers: fc.array(resolvers, { maxLength: 2 }),
    searchLists: fc.array(searchList, { maxLength: 2 }),
  });
  fc.assert(
    fc.property(fc.record({ ...place, message }), (p) => {
      const view = new DataView(new Uint8Array(p.at + 1500).fill(p.fill).buffer);
      const length = router.writeRouterAdvertisement(view, p.at, view.byteLength, p.message);
      expect(router.isRouterAdvertisementValid(view, p.at, p.at + length)).toBe(true);
      expect(router.readRouterAdvertisement(view, p.at, p.at + length)).toEqual(p.message);
    }),
  );
});

test("names of the DNS are read back", () => {
  fc.assert(
    fc.property(fc.array(name, { maxLength: 5 }), fc.nat({ max: 8 }), (names, padding) => {
      const bytes = names.flatMap((one) => Array.from(encodeDnsName(one) ?? []));
      const view = new DataView(Uint8Array.from([...bytes, ...Array<number>(padding).fill(0)]).buffer);
      expect(decodeDnsNames(view, 0, view.byteLength)).toEqual(names);
    }),
  );
});
