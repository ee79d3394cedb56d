import { expect, test } from "@jest/globals";
import { AddressFlag, LinkFlag, Scope } from "../../../src/base/network.ts";
import {
  decodeAddress,
  decodeLink,
  decodeNeighbour,
  decodeRule,
  encodeAddress,
  encodeLinkChange,
} from "../../../src/wire/rtnetlink-message.ts";

// Bodies as Linux 6.18 sent them.
const POINT_TO_POINT =
  "022080000300000008000100c633640608000200c63364050900030077616e3000000000080008008000000014000600ffffffffffffffff533d0300533d0300";
const WITH_LIFETIME =
  "0a400200030000001400010020010db80000000000000000000000051400060008070000100e0000543d0300543d03000800080002000000";
const NEIGHBOUR =
  "02000000030000008000000108000100c63364060a000200020000000002000008000400000000001400030034000000340000003400000000000000";
const RULE =
  "02001800fc0000010000000008000f00e803000008000e00ffffffff05001500000000000900030077616e3000000000080006006300000008000a000500000008001000ffffffff08000200c6336400";
/** The start of a link; the rest is not looked at. */
const LINK =
  "000001000300000043100100000000000900030077616e300000000008000d00e80300000500100006000000080004007805000008003200440000000a0001000200000000010000";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
const joined = (words: string): string => words.replaceAll(" ", "");

test("on a point-to-point link the own address counts, not the peer's, and the peer is a route", () => {
  expect(decodeAddress(bytes(POINT_TO_POINT))).toEqual({
    interfaceIndex: 3,
    family: 4,
    address: "198.51.100.5",
    prefixLength: 32,
    scope: Scope.Universe,
    flags: 0x80,
    metric: 0,
    protocol: 0,
  });
});

test("an IPv6 address has no local attribute, and its lifetime is not carried along", () => {
  const address = decodeAddress(bytes(WITH_LIFETIME));
  expect(address).toMatchObject({
    family: 6,
    address: "2001:db8::5",
    prefixLength: 64,
    flags: AddressFlag.NoDad,
  });
  expect(hex(encodeAddress(address!))).toBe(
    joined(
      "0a40020003000000 1400020020010db8000000000000000000000005 1400010020010db8000000000000000000000005 0800080002000000",
    ),
  );
});

test("flags above 255 travel in the attribute", () => {
  const noPrefixRoute = {
    ...decodeAddress(bytes(POINT_TO_POINT))!,
    flags: AddressFlag.NoPrefixRoute,
    metric: 50,
  };
  expect(decodeAddress(encodeAddress(noPrefixRoute))).toEqual(noPrefixRoute);
});

test.each([
  ["an address without an address", "0240020003000000"],
  ["an address of a wrong length", "024002000300000006000200c6330000"],
  ["another family", POINT_TO_POINT.replace(/^02/, "1c")],
  ["half a header", "0240"],
  ["nothing", ""],
])("%s is not an address", (_, text) => {
  expect(decodeAddress(bytes(text))).toBeUndefined();
});

test("a link", () => {
  expect(decodeLink(bytes(LINK))).toEqual({
    index: 3,
    name: "wan0",
    mac: "02:00:00:00:00:01",
    mtu: 1400,
    flags: LinkFlag.Up | 0x11042,
    hasIpv6: false,
  });
  expect(decodeLink(bytes(LINK.replace(/^00/, "07")))).toBeUndefined();
  expect(decodeLink(bytes(LINK.slice(0, 32)))).toBeUndefined();
});

/** An attribute in hexadecimal. */
const attribute = (type: string, value: string): string =>
  `${hex(new Uint8Array(Uint16Array.of(value.length / 2 + 4).buffer))}${type}${value}`;
/** A link that says of IPv6 its settings: numbers of 32 bits, of which the 27th switches it off. */
const linkWithIpv6 = (settings: string): Uint8Array =>
  bytes(`${LINK}${attribute("1a00", attribute("0a00", attribute("0200", settings)))}`);

test("a link has IPv6 where it has settings for it, and these do not switch it off", () => {
  const before = "00000000".repeat(26);
  expect(decodeLink(linkWithIpv6(`${before}00000000ffffffff`))).toMatchObject({ hasIpv6: true });
  expect(decodeLink(linkWithIpv6(`${before}0100000000000000`))).toMatchObject({ hasIpv6: false });
  expect(decodeLink(linkWithIpv6(before))).toMatchObject({ hasIpv6: false });
});

test("changes of a link: only what is given", () => {
  expect(hex(encodeLinkChange(3, {}))).toBe("00000000030000000000000000000000");
  expect(hex(encodeLinkChange(3, { setFlags: LinkFlag.Up, clearFlags: LinkFlag.NoArp }))).toBe(
    "00000000030000000100000081000000",
  );
  expect(
    hex(encodeLinkChange(1, { mac: "02:00:00:00:00:01", mtu: 1400, txQueueLength: 4096 }).slice(16)),
  ).toBe(joined("0a00010002000000000100000800040078050000 08000d0000100000"));
  expect(() => encodeLinkChange(1, { mac: "02:00" })).toThrow(RangeError);
  // Settings of both families are in one attribute.
  expect(hex(encodeLinkChange(1, { promoteSecondaries: true, addressGeneration: 1 }).slice(16))).toBe(
    joined("20001a80 10000280 0c000180 0800140001000000 0c000a80 0500080001000000"),
  );
});

test("a neighbour", () => {
  expect(decodeNeighbour(bytes(NEIGHBOUR))).toEqual({
    interfaceIndex: 3,
    family: 4,
    address: "198.51.100.6",
    mac: "02:00:00:00:00:02",
    state: 0x80,
  });
  expect(decodeNeighbour(bytes(NEIGHBOUR.slice(0, 24)))).toBeUndefined();
});

test("a rule with a table number above 255", () => {
  expect(decodeRule(bytes(RULE))).toEqual({
    family: 4,
    priority: 99,
    table: 1000,
    action: 1,
    source: "198.51.100.0/24",
    destination: "",
    inputInterface: "wan0",
    outputInterface: "",
    mark: 5,
  });
  expect(decodeRule(bytes(RULE.slice(0, 20)))).toBeUndefined();
});

test("R3: an address message without an address says nothing", () => {
  const whole = bytes(POINT_TO_POINT);
  expect(decodeAddress(whole.subarray(0, 8))).toBeUndefined();
  // Its flags and label alone.
  expect(decodeAddress(Uint8Array.from([...whole.subarray(0, 8), ...whole.subarray(24)]))).toBeUndefined();
});
