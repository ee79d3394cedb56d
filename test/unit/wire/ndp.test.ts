import { describe, expect, test } from "@jest/globals";
import { formatIp, parseIp, parseMac } from "../../../src/base/address.ts";
import { pseudo6 } from "../../../src/wire/checksum.ts";
import { sealIcmp6 } from "../../../src/wire/icmp6.ts";
import { ipv6Words } from "../../../src/wire/ipv6.ts";
import {
  isNeighborAdvertisementValid,
  isNeighborSolicitationValid,
  isRouterSolicitationValid,
  NDP_TARGET,
  NdpOption,
  ndpOption,
  NeighborFlag,
  neighborFlags,
  neighborSourceMacAt,
  neighborTargetMacAt,
  solicitationSourceMacAt,
  writeNeighborAdvertisement,
  writeNeighborSolicitation,
} from "../../../src/wire/ndp.ts";
import { hex, hexOf, truncated, validTruncations } from "./hex.ts";

/** Messages that Linux sent. */
const ROUTER_SOLICITATION = hex(`
  85 00 7b1a 00000000
  01 01 02000000000a   // source link-layer address
`);
const SOLICITATION = hex(`
  87 00 1c1e 00000000
  20010db8000000000000000000000002  // target
  01 01 02000000000a                // source link-layer address
`);
/** For duplicate address detection: with a nonce (RFC 7527), and without a sender. */
const DETECTION = hex(`
  87 00 2c9d 00000000
  fe80000000000000000000fffe00000a
  0e 01 76d4b3121886
`);
const ADVERTISEMENT = hex(`
  88 00 8a68
  60 000000                         // solicited, override
  20010db8000000000000000000000002  // target
  02 01 02000000000b                // target link-layer address
`);

const ALL = [
  ["a router solicitation", ROUTER_SOLICITATION, isRouterSolicitationValid],
  ["a neighbour solicitation", SOLICITATION, isNeighborSolicitationValid],
  ["a neighbour solicitation for duplicate address detection", DETECTION, isNeighborSolicitationValid],
  ["a neighbour advertisement", ADVERTISEMENT, isNeighborAdvertisementValid],
] as const;

describe.each(ALL)("%s", (_name, message, isValid) => {
  const end = message.byteLength;

  test("is valid, and only as what it is", () => {
    expect(isValid(message, 0, end)).toBe(true);
    const others = ALL.map(([, , other]) => other).filter((other) => other !== isValid);
    expect(others.some((other) => other(message, 0, end))).toBe(false);
  });

  test("is valid truncated only where an option would begin", () => {
    expect(validTruncations(message, isValid)).toEqual([end - 8]);
  });

  test("is not valid with another code", () => {
    const changed = hex(hexOf(message));
    changed.setUint8(1, 1);
    expect(isValid(changed, 0, end)).toBe(false);
  });

  test("is not valid with an empty option, or one beyond the end", () => {
    for (const length of [0, 2, 255]) {
      const changed = hex(hexOf(message));
      changed.setUint8(end - 7, length);
      expect(isValid(changed, 0, end)).toBe(false);
    }
  });
});

test("a neighbour solicitation is read", () => {
  expect(formatIp(ipv6Words(SOLICITATION, NDP_TARGET))).toBe("2001:db8::2");
  expect(neighborSourceMacAt(SOLICITATION, 0, 32)).toBe(26);
  expect(neighborTargetMacAt(SOLICITATION, 0, 32)).toBe(-1);
  expect(neighborSourceMacAt(DETECTION, 0, 32)).toBe(-1);
});

test("a neighbour advertisement is read", () => {
  expect(formatIp(ipv6Words(ADVERTISEMENT, NDP_TARGET))).toBe("2001:db8::2");
  expect(neighborFlags(ADVERTISEMENT, 0)).toBe(NeighborFlag.Solicited | NeighborFlag.Override);
  expect(neighborTargetMacAt(ADVERTISEMENT, 0, 32)).toBe(26);
});

test("a router solicitation is read", () => {
  expect(solicitationSourceMacAt(ROUTER_SOLICITATION, 0, 16)).toBe(10);
  expect(solicitationSourceMacAt(truncated(ROUTER_SOLICITATION, 8), 0, 8)).toBe(-1);
});

test("nobody solicits a multicast address", () => {
  const message = hex(hexOf(SOLICITATION));
  message.setUint8(NDP_TARGET, 0xff);
  expect(isNeighborSolicitationValid(message, 0, 32)).toBe(false);
});

test("the first of several options is found", () => {
  const options = hex("0e01ffffffffffff 0501000000000100 0501000000000200");
  expect(ndpOption(options, 0, 24, NdpOption.Mtu)).toBe(8);
  expect(ndpOption(options, 0, 24, NdpOption.Prefix)).toBe(-1);
});

test("a neighbour solicitation is written over whatever was there", () => {
  const view = new DataView(new Uint8Array(32).fill(0xff).buffer);
  const words = Uint32Array.of(7, ...parseIp("2001:db8::2")!);
  const length = writeNeighborSolicitation(view, 0, words, 1, parseMac("02:00:00:00:00:0a")!);
  const addresses = hex("20010db8000000000000000000000001 ff0200000000000000000001ff000002");
  sealIcmp6(view, 0, length, pseudo6(addresses, 0, 16, 58, length));
  expect(length).toBe(32);
  expect(hexOf(view)).toBe(hexOf(SOLICITATION));
});

test("a neighbour advertisement is written over whatever was there", () => {
  const view = new DataView(new Uint8Array(32).fill(0xff).buffer);
  const flags = NeighborFlag.Solicited | NeighborFlag.Override;
  const target = parseIp("2001:db8::2")!;
  const length = writeNeighborAdvertisement(view, 0, flags, target, 0, parseMac("02:00:00:00:00:0b")!);
  const addresses = hex("20010db8000000000000000000000002 20010db8000000000000000000000001");
  sealIcmp6(view, 0, length, pseudo6(addresses, 0, 16, 58, length));
  expect(length).toBe(32);
  expect(hexOf(view)).toBe(hexOf(ADVERTISEMENT));
});
