import { expect, test } from "@jest/globals";
import {
  isVnetValid,
  VNET_DATA_VALID,
  VNET_LENGTH,
  VNET_NEEDS_CSUM,
  vnetChecksumOffset,
  vnetChecksumStart,
  vnetFlags,
  VnetGso,
  vnetGsoSize,
  vnetGsoType,
  vnetHeaderLength,
  writeVnet,
} from "../../../src/wire/vnet.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

const HEADER = hex(`
  01    // VNET_NEEDS_CSUM
  81    // Tcp4 with Ecn
  4200  // 66 bytes of headers
  a805  // cut into 1448 bytes
  2200  // checksum starts at 34
  1000  // checksum is 16 further
`);

/** A header in front of a frame of this many bytes. */
function framed(length: number, flags: number, gsoType: number, gsoSize: number, start = 34, offset = 16) {
  const view = new DataView(new ArrayBuffer(VNET_LENGTH + length));
  writeVnet(view, 0, flags, gsoType, 0, gsoSize, start, offset);
  return isVnetValid(view, 0, view.byteLength);
}

test("a header is read", () => {
  expect(vnetFlags(HEADER, 0)).toBe(VNET_NEEDS_CSUM);
  expect(vnetGsoType(HEADER, 0)).toBe(VnetGso.Tcp4 | VnetGso.Ecn);
  expect(vnetHeaderLength(HEADER, 0)).toBe(66);
  expect(vnetGsoSize(HEADER, 0)).toBe(1448);
  expect(vnetChecksumStart(HEADER, 0)).toBe(34);
  expect(vnetChecksumOffset(HEADER, 0)).toBe(16);
});

test("a header is written", () => {
  const view = new DataView(new ArrayBuffer(VNET_LENGTH));
  writeVnet(view, 0, VNET_NEEDS_CSUM, VnetGso.Tcp4 | VnetGso.Ecn, 66, 1448, 34, 16);
  expect(hexOf(view)).toBe(hexOf(HEADER));
});

test("a truncated header is not valid", () => {
  expect(validTruncations(hex("00".repeat(10)), isVnetValid)).toEqual([]);
});

test("a partial checksum must lie inside the frame", () => {
  expect(framed(52, VNET_NEEDS_CSUM, VnetGso.None, 0)).toBe(true);
  expect(framed(51, VNET_NEEDS_CSUM, VnetGso.None, 0)).toBe(false);
  expect(framed(1500, VNET_NEEDS_CSUM, VnetGso.None, 0, 0xffff, 0xffff)).toBe(false);
  // Without the flag, start and offset mean nothing.
  expect(framed(51, VNET_DATA_VALID, VnetGso.None, 0)).toBe(true);
});

test.each([
  [VnetGso.None, true],
  [VnetGso.Tcp4, true],
  [2, false],
  [VnetGso.Udp, true],
  [VnetGso.Tcp6, true],
  [VnetGso.UdpL4, true],
  [6, false],
  [32, false],
  [0x40, false],
  [0x7f, false],
  [VnetGso.Tcp6 | VnetGso.Ecn, true],
])("way of cutting %i: %s", (type, known) => {
  expect(framed(1500, VNET_NEEDS_CSUM, type, 1448)).toBe(known);
});

test("a way of cutting needs a size", () => {
  expect(framed(1500, VNET_NEEDS_CSUM, VnetGso.Tcp4, 0)).toBe(false);
});
