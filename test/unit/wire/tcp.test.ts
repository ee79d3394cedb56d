import { expect, test } from "@jest/globals";
import {
  isTcpValid,
  setTcpChecksum,
  TCP_CHECKSUM,
  TCP_LENGTH,
  tcpAcknowledgment,
  tcpDestinationPort,
  TcpFlag,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort,
  tcpWindow,
  writeTcp,
} from "../../../src/wire/tcp.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

/** A SYN that Linux sent. */
const SYN = hex(`
  8208 0051                 // ports 33288 and 81
  91355ecd                  // sequence number
  00000000                  // acknowledgment number
  a0 02 faf0                // header of 40 bytes, SYN, window 64240
  8432 0000                 // checksum, urgent pointer
  020405b4 0402             // MSS 1460, SACK permitted
  080a e1661520 00000000    // timestamps
  01 03030a                 // Nop, window scale 10
`);

test("a SYN is read", () => {
  expect(isTcpValid(SYN, 0, 40)).toBe(true);
  expect(tcpSourcePort(SYN, 0)).toBe(33288);
  expect(tcpDestinationPort(SYN, 0)).toBe(81);
  expect(tcpSequence(SYN, 0)).toBe(0x91355ecd);
  expect(tcpAcknowledgment(SYN, 0)).toBe(0);
  expect(tcpHeaderLength(SYN, 0)).toBe(40);
  expect(tcpFlags(SYN, 0)).toBe(TcpFlag.Syn);
  expect(tcpWindow(SYN, 0)).toBe(64240);
  expect(SYN.getUint16(TCP_CHECKSUM)).toBe(0x8432);
});

test("a truncated header is not valid", () => {
  expect(validTruncations(SYN, isTcpValid)).toEqual([]);
});

test("a header is at least 20 bytes long", () => {
  const segment = hex(hexOf(SYN));
  segment.setUint8(12, 0x40);
  expect(isTcpValid(segment, 0, 40)).toBe(false);
});

test("the reserved bits are not part of the header's length", () => {
  const segment = hex(hexOf(SYN));
  segment.setUint8(12, 0xaf);
  expect(tcpHeaderLength(segment, 0)).toBe(40);
});

test("a header is written with checksum 0, then the checksum", () => {
  const view = new DataView(new Uint8Array(TCP_LENGTH).fill(0xff).buffer);
  writeTcp(view, 0, 81, 33288, 0xfffffffe, 0x91355ece, 20, TcpFlag.Rst | TcpFlag.Ack, 0xffff);
  expect(hexOf(view)).toBe("00518208fffffffe91355ece5014ffff00000000");
  setTcpChecksum(view, 0, 0xb96f);
  expect(hexOf(view)).toBe("00518208fffffffe91355ece5014ffffb96f0000");
});
