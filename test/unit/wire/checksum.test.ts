import { expect, test } from "@jest/globals";
import { checksum, fold, pseudo4, pseudo6, sumBytes } from "../../../src/wire/checksum.ts";
import { hex } from "./hex.ts";

test("the example of RFC 1071 section 3", () => {
  const sum = sumBytes(hex("0001 f203 f4f5 f6f7"), 0, 8);
  expect(fold(sum)).toBe(0xddf2);
  expect(checksum(sum)).toBe(0x220d);
});

test("an odd last byte counts as if a zero followed", () => {
  expect(fold(sumBytes(hex("0102 03ff"), 0, 3))).toBe(0x0402);
  expect(fold(sumBytes(hex("03"), 0, 1))).toBe(0x0300);
});

test("no bytes sum up to the initial value", () => {
  expect(sumBytes(hex(""), 0, 0)).toBe(0);
  expect(sumBytes(hex("ff"), 0, 0, 1234)).toBe(1234);
});

test("a fold takes as many carries as it needs", () => {
  expect(fold(0)).toBe(0);
  expect(fold(0xffff)).toBe(0xffff);
  expect(fold(0x1_0000)).toBe(1);
  expect(fold(0x1_ffff)).toBe(1);
  expect(fold(0xffff_ffff)).toBe(0xffff);
  expect(fold(0x1_0000_0000)).toBe(1);
  expect(fold(16384 * 0xffff_ffff)).toBe(0xffff);
  expect(fold(Number.MAX_SAFE_INTEGER)).toBe(0x1f); // 2^53 - 1 = (2^16)^3 * 2^5 - 1
});

test("64 KiB of ones do not overflow", () => {
  const view = new DataView(new Uint8Array(65536).fill(0xff).buffer);
  expect(fold(sumBytes(view, 0, 65536))).toBe(0xffff);
  expect(fold(sumBytes(view, 1, 65535))).toBe(0xff00);
});

test("an echo reply that Linux sent over IPv4 sums up to zero", () => {
  expect(checksum(sumBytes(hex("0000 b1c1 422d 0001 0001 0203 0405 0607"), 0, 16))).toBe(0);
});

test("an echo request that Linux sent over IPv6 sums up to zero with its pseudo-header", () => {
  const packet = hex(`
    6004 6826 0010 3a40                      // IPv6, 16 bytes of ICMPv6
    2001 0db8 0000 0000 0000 0000 0000 0001  // source
    2001 0db8 0000 0000 0000 0000 0000 0002  // destination
    8000 d5fe 4230 0001 0001 0203 0405 0607  // echo request, checksum d5fe
  `);
  expect(checksum(sumBytes(packet, 40, 16, pseudo6(packet, 8, 24, 58, 16)))).toBe(0);
});

test("a SYN that Linux left to an offload holds the folded pseudo-header", () => {
  // 192.0.2.1:33288 > 192.0.2.2:81, 40 bytes of TCP; the checksum field was 0x8432.
  expect(fold(pseudo4(0xc0000201, 0xc0000202, 6, 40))).toBe(0x8432);
});
