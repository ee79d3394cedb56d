import { expect, test } from "@jest/globals";
import {
  isUdpValid,
  setUdpChecksum,
  UDP_LENGTH,
  udpChecksum,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
  writeUdp,
} from "../../../src/wire/udp.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

const DATAGRAM = hex(`
  9cb1 0035   // ports 40113 and 53
  000d 8422   // 13 bytes, checksum
  68656c6c6f  // "hello"
`);

test("a datagram is read", () => {
  expect(isUdpValid(DATAGRAM, 0, 13)).toBe(true);
  expect(udpSourcePort(DATAGRAM, 0)).toBe(40113);
  expect(udpDestinationPort(DATAGRAM, 0)).toBe(53);
  expect(udpLength(DATAGRAM, 0)).toBe(13);
  expect(udpChecksum(DATAGRAM, 0)).toBe(0x8422);
});

test("a truncated datagram is not valid", () => {
  expect(validTruncations(DATAGRAM, isUdpValid)).toEqual([]);
});

test("the length is at least that of the header; more bytes may follow", () => {
  expect(isUdpValid(hex("9cb1 0035 0008 0000 ffff"), 0, 10)).toBe(true);
  expect(isUdpValid(hex("9cb1 0035 0007 0000"), 0, 8)).toBe(false);
  expect(isUdpValid(hex("9cb1 0035 0000 0000"), 0, 8)).toBe(false);
});

test("a header is written with checksum 0, then the checksum", () => {
  const view = new DataView(new Uint8Array(UDP_LENGTH).fill(0xff).buffer);
  writeUdp(view, 0, 40113, 53, 13);
  expect(hexOf(view)).toBe("9cb10035000d0000");
  setUdpChecksum(view, 0, 0x8422);
  expect(hexOf(view)).toBe("9cb10035000d8422");
});
