import { expect, test } from "@jest/globals";
import { pseudo6 } from "../../../src/wire/checksum.ts";
import {
  ICMP6_LENGTH,
  ICMP6_MAXIMUM_QUOTE,
  icmp6Code,
  icmp6Id,
  icmp6Mtu,
  icmp6Sequence,
  Icmp6TimeExceeded,
  Icmp6Type,
  icmp6Type,
  Icmp6Unreachable,
  isIcmp6ChecksumRight,
  isIcmp6Valid,
  sealIcmp6,
  writeIcmp6Echo,
  writeIcmp6Error,
} from "../../../src/wire/icmp6.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

/** A ping that Linux sent, and its pseudo-header. */
const ECHO = hex(`
  80 00 d5fe           // echo request, checksum
  4230 0001            // identifier, sequence
  0001 0203 0405 0607  // data
`);
const ADDRESSES = hex("20010db8000000000000000000000001 20010db8000000000000000000000002");
const PSEUDO = pseudo6(ADDRESSES, 0, 16, 58, 16);

/** Linux's answer to a datagram for a port where nobody listens, and its pseudo-header. */
const UNREACHABLE = hex(`
  01 04 c0c6 00000000  // port unreachable, checksum
  6002 d4d7 000d 1140
  2001 0db8 0000 0000 0000 0000 0000 0001
  2001 0db8 0000 0000 0000 0000 0000 0002
  a104 0035 000d 5b93 68656c6c6f
`);
const UNREACHABLE_PSEUDO = pseudo6(ADDRESSES, 16, 0, 58, UNREACHABLE.byteLength);

test("an echo request is read", () => {
  expect(isIcmp6Valid(ECHO, 0, 16)).toBe(true);
  expect(isIcmp6ChecksumRight(ECHO, 0, 16, PSEUDO)).toBe(true);
  expect(icmp6Type(ECHO, 0)).toBe(Icmp6Type.EchoRequest);
  expect(icmp6Code(ECHO, 0)).toBe(0);
  expect(icmp6Id(ECHO, 0)).toBe(0x4230);
  expect(icmp6Sequence(ECHO, 0)).toBe(1);
});

test("an error is read", () => {
  expect(isIcmp6ChecksumRight(UNREACHABLE, 0, UNREACHABLE.byteLength, UNREACHABLE_PSEUDO)).toBe(true);
  expect(icmp6Type(UNREACHABLE, 0)).toBe(Icmp6Type.Unreachable);
  expect(icmp6Code(UNREACHABLE, 0)).toBe(Icmp6Unreachable.Port);
});

test("a message shorter than its header is not valid", () => {
  expect(validTruncations(ECHO, isIcmp6Valid, ICMP6_LENGTH)).toEqual([]);
});

test("a changed byte makes the checksum wrong", () => {
  const message = hex(hexOf(ECHO));
  message.setUint8(9, 0);
  expect(isIcmp6ChecksumRight(message, 0, 16, PSEUDO)).toBe(false);
});

test("an echo is written over whatever was there", () => {
  const view = hex("ffffffffffffffff0001020304050607");
  writeIcmp6Echo(view, 0, Icmp6Type.EchoRequest, 0x4230, 1);
  sealIcmp6(view, 0, 16, PSEUDO);
  expect(hexOf(view)).toBe(hexOf(ECHO));
});

test("an error is written over whatever was there", () => {
  const view = hex("ff".repeat(ICMP6_LENGTH) + hexOf(UNREACHABLE).slice(2 * ICMP6_LENGTH));
  writeIcmp6Error(view, 0, Icmp6Type.Unreachable, Icmp6Unreachable.Port);
  sealIcmp6(view, 0, view.byteLength, UNREACHABLE_PSEUDO);
  expect(hexOf(view)).toBe(hexOf(UNREACHABLE));
});

test("the MTU of packet too big is written and read", () => {
  const view = hex("ff".repeat(ICMP6_LENGTH));
  writeIcmp6Error(view, 0, Icmp6Type.PacketTooBig, 0, 0x12345);
  sealIcmp6(view, 0, ICMP6_LENGTH, 0);
  expect(hexOf(view)).toBe("0200dab900012345");
  expect(icmp6Mtu(view, 0)).toBe(0x12345);
});

test("time exceeded is written", () => {
  const view = hex("ff".repeat(ICMP6_LENGTH));
  writeIcmp6Error(view, 0, Icmp6Type.TimeExceeded, Icmp6TimeExceeded.HopLimit);
  sealIcmp6(view, 0, ICMP6_LENGTH, 0);
  expect(hexOf(view)).toBe("0300fcff00000000");
});

test("an error that quotes as much as it may fills a packet of the least MTU", () => {
  expect(40 + ICMP6_LENGTH + ICMP6_MAXIMUM_QUOTE).toBe(1280);
});
