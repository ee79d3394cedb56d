/** Any bytes may come from the container: nothing throws, loops, or reads outside of what there is. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { ARP_LENGTH, isArpValid } from "../../src/wire/arp.ts";
import { describeFrame } from "../../src/wire/describe.ts";
import { dhcp4Options, isDhcp4Valid } from "../../src/wire/dhcp4.ts";
import { dhcp6MessageOptions, isDhcp6Valid } from "../../src/wire/dhcp6.ts";
import { decodeDnsNames } from "../../src/wire/dns-name.ts";
import { ETHERNET_LENGTH, isEthernetValid } from "../../src/wire/ethernet.ts";
import { ICMP4_LENGTH, isIcmp4ChecksumRight, isIcmp4Valid } from "../../src/wire/icmp4.ts";
import { ICMP6_LENGTH, isIcmp6Valid } from "../../src/wire/icmp6.ts";
import { ipv4HeaderLength, ipv4TotalLength, isIpv4Valid } from "../../src/wire/ipv4.ts";
import { walked, walkExtensions } from "../../src/wire/ipv6-extensions.ts";
import { ipv6PayloadLength, isIpv6Valid } from "../../src/wire/ipv6.ts";
import {
  isNeighborAdvertisementValid,
  isNeighborSolicitationValid,
  isRouterSolicitationValid,
  neighborSourceMacAt,
  neighborTargetMacAt,
  solicitationSourceMacAt,
} from "../../src/wire/ndp.ts";
import { isRouterAdvertisementValid, readRouterAdvertisement } from "../../src/wire/router-advertisement.ts";
import { tcpMss, tcpSackPermitted, tcpWindowScale } from "../../src/wire/tcp-options.ts";
import { isTcpValid, tcpHeaderLength } from "../../src/wire/tcp.ts";
import { isUdpValid, udpLength } from "../../src/wire/udp.ts";
import {
  isVnetValid,
  VNET_LENGTH,
  vnetChecksumOffset,
  vnetChecksumStart,
  vnetFlags,
} from "../../src/wire/vnet.ts";

/** Bytes in memory of exactly their size, so that reading further throws; `start` are plausible first ones. */
const bytesAfter = (...start: number[]): fc.Arbitrary<DataView> =>
  fc
    .tuple(fc.boolean(), fc.uint8Array({ maxLength: 120 }), fc.array(fc.nat({ max: 4 }), { maxLength: 60 }))
    .map(([small, bytes, few]) => new DataView(Uint8Array.from([...start, ...(small ? few : bytes)]).buffer));

/** Checks a law for random bytes, and for random bytes behind each of the starts. */
function forBytes(starts: readonly number[][], law: (view: DataView, end: number) => void): void {
  for (const start of [[], ...starts]) {
    fc.assert(
      fc.property(bytesAfter(...start), (view) => law(view, view.byteLength)),
      { numRuns: 500 },
    );
  }
}

test("a valid IPv4 packet lies inside", () => {
  forBytes(
    [
      [0x45, 0, 0, 30],
      [0x4f, 0, 0, 60],
    ],
    (view, end) => {
      if (!isIpv4Valid(view, 0, end)) return;
      expect(ipv4HeaderLength(view, 0)).toBeLessThanOrEqual(ipv4TotalLength(view, 0));
      expect(ipv4TotalLength(view, 0)).toBeLessThanOrEqual(end);
    },
  );
});

test("a valid IPv6 packet lies inside", () => {
  forBytes([[0x60, 0, 0, 0, 0, 8]], (view, end) => {
    if (!isIpv6Valid(view, 0, end)) return;
    expect(40 + ipv6PayloadLength(view, 0)).toBeLessThanOrEqual(end);
  });
});

test("a valid UDP datagram lies inside", () => {
  forBytes([[0, 1, 0, 2, 0, 12]], (view, end) => {
    if (!isUdpValid(view, 0, end)) return;
    expect(udpLength(view, 0)).toBeLessThanOrEqual(end);
  });
});

test("the options of a valid TCP segment are searched inside its header", () => {
  forBytes(
    [
      [...Array<number>(12).fill(0), 0xf0],
      [...Array<number>(12).fill(0), 0x70],
    ],
    (view, end) => {
      if (!isTcpValid(view, 0, end)) return;
      // Memory that ends with the header: reading further would throw.
      const length = tcpHeaderLength(view, 0);
      const header = new DataView(view.buffer.slice(0, length) as ArrayBuffer);
      expect(tcpMss(header, 0)).toBeGreaterThanOrEqual(-1);
      expect(tcpWindowScale(header, 0)).toBeGreaterThanOrEqual(-1);
      expect(typeof tcpSackPermitted(header, 0)).toBe("boolean");
    },
  );
});

test("a walk over extension headers ends inside, or nowhere", () => {
  const headers = fc.constantFrom(0, 6, 17, 43, 44, 50, 51, 58, 59, 60, 135, 139, 140, 253, 254, 255);
  // Bytes that are often the number of an extension header, or a short length.
  const likely = fc.array(fc.oneof(headers, fc.nat({ max: 3 })), { maxLength: 200 });
  fc.assert(
    fc.property(headers, likely, (header, bytes) => {
      const view = new DataView(Uint8Array.from(bytes).buffer);
      const upper = walkExtensions(view, 0, header, view.byteLength);
      expect(upper).toBeGreaterThanOrEqual(-1);
      expect(upper).toBeLessThanOrEqual(view.byteLength);
      expect([-1, upper - 8]).toContain(upper === -1 ? -1 : walked.fragmentAt);
    }),
    { numRuns: 2000 },
  );
});

test("the partial checksum of a valid virtio-net header lies inside the frame", () => {
  forBytes([[1, 0, 0, 0, 0, 0, 4, 0, 2, 0]], (view, end) => {
    if (!isVnetValid(view, 0, end) || (vnetFlags(view, 0) & 1) === 0) return;
    const at = VNET_LENGTH + vnetChecksumStart(view, 0) + vnetChecksumOffset(view, 0);
    expect(at + 2).toBeLessThanOrEqual(end);
  });
});

test("addresses that neighbour discovery finds lie inside", () => {
  const types = [133, 134, 135, 136].map((type) => [type, 0, 0, 0, 0, 0, 0, 0]);
  forBytes(types, (view, end) => {
    const found: number[] = [];
    if (isRouterSolicitationValid(view, 0, end)) found.push(solicitationSourceMacAt(view, 0, end));
    if (isNeighborSolicitationValid(view, 0, end)) found.push(neighborSourceMacAt(view, 0, end));
    if (isNeighborAdvertisementValid(view, 0, end)) found.push(neighborTargetMacAt(view, 0, end));
    if (isRouterAdvertisementValid(view, 0, end)) readRouterAdvertisement(view, 0, end);
    for (const at of found) expect(at + 6).toBeLessThanOrEqual(end);
  });
});

test("a router advertisement with any options is read or refused", () => {
  const type = fc.constantFrom(1, 2, 3, 5, 25, 31, 99);
  const option = fc
    .tuple(type, fc.integer({ min: 1, max: 6 }))
    .chain(([kind, units]) =>
      fc
        .uint8Array({ minLength: 8 * units - 2, maxLength: 8 * units - 2 })
        .map((bytes) => [kind, units, ...bytes]),
    );
  fc.assert(
    fc.property(fc.array(option, { maxLength: 6 }), (options) => {
      const bytes = [134, 0, ...Array<number>(14).fill(0), ...options.flat()];
      const view = new DataView(Uint8Array.from(bytes).buffer);
      expect(isRouterAdvertisementValid(view, 0, bytes.length)).toBe(true);
      readRouterAdvertisement(view, 0, bytes.length);
    }),
  );
});

test("nothing else throws either", () => {
  forBytes([], (view, end) => {
    expect(isIcmp4Valid(view, 0, end)).toBe(end >= ICMP4_LENGTH);
    expect(isIcmp6Valid(view, 0, end)).toBe(end >= ICMP6_LENGTH);
    expect(isEthernetValid(view, 0, end)).toBe(end >= ETHERNET_LENGTH);
    expect(isArpValid(view, 0, end) && end < ARP_LENGTH).toBe(false);
    expect(typeof isIcmp4ChecksumRight(view, 0, end)).toBe("boolean");
    expect(decodeDnsNames(view, 0, end).length).toBeLessThanOrEqual(end);
  });
});

test("a valid message of DHCP has its options inside", () => {
  // Codes and lengths that follow each other.
  const options = fc.array(fc.oneof(fc.nat({ max: 4 }), fc.constantFrom(53, 255, 0)), { maxLength: 80 });
  fc.assert(
    fc.property(options, (bytes) => {
      const fixed = [1, 1, 6, ...Array<number>(233).fill(0), 0x63, 0x82, 0x53, 0x63];
      const four = new DataView(Uint8Array.from([...fixed, ...bytes]).buffer);
      const found = isDhcp4Valid(four, 0, four.byteLength) ? dhcp4Options(four, 0, four.byteLength) : [];
      const last = Math.max(0, ...found.map((option) => option + 2 + four.getUint8(option + 1)));
      expect(last).toBeLessThanOrEqual(four.byteLength);
      const six = new DataView(Uint8Array.from([1, 0, 0, 0, ...bytes]).buffer);
      const ends = dhcp6MessageOptions(six, 0, six.byteLength).map(({ end }) => end);
      expect(Math.max(0, ...ends)).toBe(
        isDhcp6Valid(six, 0, six.byteLength) && ends.length > 0 ? six.byteLength : 0,
      );
    }),
    { numRuns: 2000 },
  );
});

test("any frame is described", () => {
  const ethernet = Array<number>(12).fill(2);
  const ipv4 = [...ethernet, 8, 0, 0x45, 0, 0, 60, 0, 0, 0, 0, 64];
  const ipv6 = [...ethernet, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 40];
  const starts = [
    [...ethernet, 8, 6],
    ...[1, 6, 17].map((protocol) => [...ipv4, protocol]),
    // UDP between the ports of DHCP.
    [...ipv4, 17, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 68, 0, 67],
    [
      ...ethernet,
      0x86,
      0xdd,
      0x60,
      0,
      0,
      0,
      0,
      60,
      17,
      64,
      ...Array<number>(32).fill(1),
      2,
      34,
      2,
      35,
      0,
      60,
    ],
    ...[0, 6, 17, 44, 58].map((protocol) => [...ipv6, protocol]),
  ];
  forBytes(starts, (view, end) => {
    expect(describeFrame(view, 0, end)).not.toBe("");
  });
});
