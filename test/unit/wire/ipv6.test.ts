import { expect, test } from "@jest/globals";
import { formatIp, parseIp } from "../../../src/base/address.ts";
import { IpProtocol } from "../../../src/wire/ipv4.ts";
import {
  IPV6_DESTINATION,
  IPV6_SOURCE,
  ipv6FlowLabel,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Words,
  isIpv6Valid,
  writeIpv6,
} from "../../../src/wire/ipv6.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

/** A ping that Linux sent. */
const PACKET = hex(`
  6004 6826                                // version 6, traffic class 0, flow label 46826
  0010 3a 40                               // 16 bytes, ICMPv6, hop limit 64
  2001 0db8 0000 0000 0000 0000 0000 0001  // source
  2001 0db8 0000 0000 0000 0000 0000 0002  // destination
  8000 d5fe 4230 0001 0001 0203 0405 0607  // payload
`);

test("a packet is read", () => {
  expect(isIpv6Valid(PACKET, 0, 56)).toBe(true);
  expect(ipv6FlowLabel(PACKET, 0)).toBe(0x46826);
  expect(ipv6PayloadLength(PACKET, 0)).toBe(16);
  expect(ipv6NextHeader(PACKET, 0)).toBe(IpProtocol.Icmp6);
  expect(ipv6HopLimit(PACKET, 0)).toBe(64);
  expect(formatIp(ipv6Words(PACKET, IPV6_SOURCE))).toBe("2001:db8::1");
  expect(formatIp(ipv6Words(PACKET, IPV6_DESTINATION))).toBe("2001:db8::2");
});

test("a truncated packet is not valid", () => {
  expect(validTruncations(PACKET, isIpv6Valid)).toEqual([]);
});

test("bytes behind the packet are padding", () => {
  expect(isIpv6Valid(hex(hexOf(PACKET) + "0000"), 0, 58)).toBe(true);
});

test("another version is not valid", () => {
  const packet = hex(hexOf(PACKET));
  packet.setUint8(0, 0x45);
  expect(isIpv6Valid(packet, 0, 56)).toBe(false);
});

test("a header is written over whatever was there", () => {
  const view = new DataView(new Uint8Array(40).fill(0xff).buffer);
  const source = parseIp("2001:db8::1")!;
  const words = Uint32Array.of(7, 7, ...parseIp("2001:db8::2")!);
  writeIpv6(view, 0, 16, IpProtocol.Icmp6, 64, source, 0, words, 2, 0x46826);
  expect(hexOf(view)).toBe(hexOf(PACKET).slice(0, 80));
});

test("the flow label is zero unless given", () => {
  const view = new DataView(new Uint8Array(40).fill(0xff).buffer);
  writeIpv6(view, 0, 16, IpProtocol.Icmp6, 64, new Uint32Array(4), 0, new Uint32Array(4), 0);
  expect(ipv6FlowLabel(view, 0)).toBe(0);
});
