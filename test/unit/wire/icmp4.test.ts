import { expect, test } from "@jest/globals";
import {
  ICMP4_LENGTH,
  icmp4Code,
  icmp4Id,
  icmp4Mtu,
  icmp4Sequence,
  Icmp4TimeExceeded,
  Icmp4Type,
  icmp4Type,
  Icmp4Unreachable,
  isIcmp4ChecksumRight,
  isIcmp4Valid,
  sealIcmp4,
  writeIcmp4Echo,
  writeIcmp4Error,
} from "../../../src/wire/icmp4.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

/** A ping that Linux sent. */
const ECHO = hex(`
  08 00 a9c1           // echo request, checksum
  422d 0001            // identifier, sequence
  0001 0203 0405 0607  // data
`);

/** Linux's answer to a datagram for a port where nobody listens. */
const UNREACHABLE = hex(`
  03 03 9814                                // port unreachable, checksum
  00000000
  4500 0021 9a11 4000 4011 1cb7 c0000201 c0000202
  9cb1 0035 000d 8422 68656c6c6f
`);

test("an echo request is read", () => {
  expect(isIcmp4Valid(ECHO, 0, 16)).toBe(true);
  expect(isIcmp4ChecksumRight(ECHO, 0, 16)).toBe(true);
  expect(icmp4Type(ECHO, 0)).toBe(Icmp4Type.EchoRequest);
  expect(icmp4Code(ECHO, 0)).toBe(0);
  expect(icmp4Id(ECHO, 0)).toBe(0x422d);
  expect(icmp4Sequence(ECHO, 0)).toBe(1);
});

test("an error of odd length is read", () => {
  expect(isIcmp4ChecksumRight(UNREACHABLE, 0, UNREACHABLE.byteLength)).toBe(true);
  expect(icmp4Type(UNREACHABLE, 0)).toBe(Icmp4Type.Unreachable);
  expect(icmp4Code(UNREACHABLE, 0)).toBe(Icmp4Unreachable.Port);
  expect(icmp4Mtu(UNREACHABLE, 0)).toBe(0);
});

test("a message shorter than its header is not valid", () => {
  expect(validTruncations(ECHO, isIcmp4Valid, ICMP4_LENGTH)).toEqual([]);
});

test("a changed byte makes the checksum wrong", () => {
  const message = hex(hexOf(ECHO));
  message.setUint8(9, 0);
  expect(isIcmp4ChecksumRight(message, 0, 16)).toBe(false);
});

test("an echo is written over whatever was there", () => {
  const view = hex("ffffffffffffffff0001020304050607");
  writeIcmp4Echo(view, 0, Icmp4Type.EchoRequest, 0x422d, 1);
  sealIcmp4(view, 0, 16);
  expect(hexOf(view)).toBe(hexOf(ECHO));
});

test("errors are written over whatever was there", () => {
  const view = hex("ff".repeat(ICMP4_LENGTH) + hexOf(UNREACHABLE).slice(2 * ICMP4_LENGTH));
  writeIcmp4Error(view, 0, Icmp4Type.Unreachable, Icmp4Unreachable.Port);
  sealIcmp4(view, 0, view.byteLength);
  expect(hexOf(view)).toBe(hexOf(UNREACHABLE));
});

test("the MTU of fragmentation needed is written and read", () => {
  const view = hex("ff".repeat(ICMP4_LENGTH));
  writeIcmp4Error(view, 0, Icmp4Type.Unreachable, Icmp4Unreachable.FragmentationNeeded, 1400);
  sealIcmp4(view, 0, ICMP4_LENGTH);
  expect(hexOf(view)).toBe("0304f78300000578");
  expect(icmp4Mtu(view, 0)).toBe(1400);
});

test("time exceeded is written", () => {
  const view = hex("ff".repeat(ICMP4_LENGTH));
  writeIcmp4Error(view, 0, Icmp4Type.TimeExceeded, Icmp4TimeExceeded.Reassembly);
  sealIcmp4(view, 0, ICMP4_LENGTH);
  expect(hexOf(view)).toBe("0b01f4fe00000000");
});
