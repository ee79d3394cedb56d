import { expect, test } from "@jest/globals";
import { checksum, sumBytes } from "../../../src/wire/checksum.ts";
import {
  ipv4Destination,
  ipv4DontFragment,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4Tos,
  ipv4TotalLength,
  ipv4Ttl,
  IpProtocol,
  isIpv4Valid,
  writeIpv4,
} from "../../../src/wire/ipv4.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

/** A ping that Linux sent. */
const PACKET = hex(`
  45 00 0024           // version 4, header of 20 bytes, TOS 0, total length 36
  08f6 4000            // identification, "don't fragment", offset 0
  40 01 addf           // TTL 64, ICMP, checksum
  c0000201             // 192.0.2.1
  c0000202             // 192.0.2.2
  0800 a9c1 422d 0001  // payload
  0001 0203 0405 0607
`);

/** The last of the three fragments of a datagram of 3,000 bytes that Linux sent, cut to 8 bytes, with an option. */
const FRAGMENT = hex(`
  46 b8 0020  // version 4, header of 24 bytes, TOS, total length 32
  9a12 2172   // identification, "more fragments", offset 370 * 8
  40 11 0000  // TTL 64, UDP, no checksum
  c0000201
  c0000202
  94040000    // router alert
  78787878 78787878
`);

test("a packet is read", () => {
  expect(isIpv4Valid(PACKET, 0, 36)).toBe(true);
  expect(ipv4HeaderLength(PACKET, 0)).toBe(20);
  expect(ipv4Tos(PACKET, 0)).toBe(0);
  expect(ipv4TotalLength(PACKET, 0)).toBe(36);
  expect(ipv4Id(PACKET, 0)).toBe(0x08f6);
  expect(ipv4DontFragment(PACKET, 0)).toBe(true);
  expect(ipv4MoreFragments(PACKET, 0)).toBe(false);
  expect(ipv4FragmentOffset(PACKET, 0)).toBe(0);
  expect(ipv4Ttl(PACKET, 0)).toBe(64);
  expect(ipv4Protocol(PACKET, 0)).toBe(IpProtocol.Icmp);
  expect(ipv4Source(PACKET, 0)).toBe(0xc0000201);
  expect(ipv4Destination(PACKET, 0)).toBe(0xc0000202);
  expect(checksum(sumBytes(PACKET, 0, 20))).toBe(0);
});

test("a fragment with an option is read", () => {
  expect(isIpv4Valid(FRAGMENT, 0, 32)).toBe(true);
  expect(ipv4HeaderLength(FRAGMENT, 0)).toBe(24);
  expect(ipv4Tos(FRAGMENT, 0)).toBe(0xb8);
  expect(ipv4DontFragment(FRAGMENT, 0)).toBe(false);
  expect(ipv4MoreFragments(FRAGMENT, 0)).toBe(true);
  expect(ipv4FragmentOffset(FRAGMENT, 0)).toBe(2960);
});

test("a truncated packet is not valid", () => {
  expect(validTruncations(PACKET, isIpv4Valid)).toEqual([]);
  expect(validTruncations(FRAGMENT, isIpv4Valid)).toEqual([]);
});

test("bytes behind the packet are padding", () => {
  const padded = hex(hexOf(PACKET) + "00".repeat(10));
  expect(isIpv4Valid(padded, 0, 46)).toBe(true);
});

test.each([
  [0, 0x65, "another version"],
  [0, 0x44, "a header shorter than 20 bytes"],
  [0, 0x4f, "a header longer than the packet"],
  [3, 19, "a total length shorter than the header"],
  [3, 37, "a total length beyond the end"],
])("byte %i = %i is not valid: %s", (at, value) => {
  const packet = hex(hexOf(PACKET));
  packet.setUint8(at, value);
  expect(isIpv4Valid(packet, 0, 36)).toBe(false);
});

test("a header is written over whatever was there", () => {
  const view = new DataView(new Uint8Array(20).fill(0xff).buffer);
  writeIpv4(view, 0, 36, IpProtocol.Icmp, 64, 0xc0000201, 0xc0000202);
  // The ping with identification 0, and its checksum larger by 0x08f6.
  expect(hexOf(view)).toBe("45000024000040004001b6d5c0000201c0000202");
});
