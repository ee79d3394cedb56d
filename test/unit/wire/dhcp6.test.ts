import { expect, test } from "@jest/globals";
import { describeDhcp } from "../../../src/wire/describe-dhcp.ts";
import { dhcpOption } from "../../../src/wire/dhcp-option.ts";
import {
  dhcp6MessageOptions,
  Dhcp6Option,
  dhcp6OptionBytes,
  dhcp6Options,
  dhcp6Transaction,
  Dhcp6Type,
  dhcp6Type,
  dhcp6Value,
  isDhcp6Valid,
  isDuid,
  linkLayerDuid,
  writeDhcp6,
} from "../../../src/wire/dhcp6.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

const REQUEST = hex(`
  03 f26a7c                         // request, transaction
  0001 000a 00030001020000000010    // client
  000e 0000                         // rapid commit
  0003 0028 00000001 00000e10 00001518
    0005 0018 20010db8000000000000000000000010 ffffffff ffffffff
`);
const END = REQUEST.byteLength;

test("reads a message", () => {
  expect(isDhcp6Valid(REQUEST, 0, END)).toBe(true);
  expect(dhcp6Type(REQUEST, 0)).toBe(Dhcp6Type.Request);
  expect(dhcp6Transaction(REQUEST, 0)).toBe(0xf26a7c);
  const options = dhcp6MessageOptions(REQUEST, 0, END);
  expect(options).toEqual([
    { code: 1, at: 8, end: 18 },
    { code: 14, at: 22, end: 22 },
    { code: 3, at: 26, end: 66 },
  ]);
  expect(dhcp6Options(REQUEST, 38, 66)).toEqual([{ code: 5, at: 42, end: 66 }]);
  // Empty is not absent.
  expect(dhcp6Value(REQUEST, options, Dhcp6Option.RapidCommit)).toEqual(new Uint8Array(0));
  expect(dhcp6Value(REQUEST, options, Dhcp6Option.Server)).toBeUndefined();
});

test("a message that is cut off is valid only where an option ends", () => {
  expect(validTruncations(REQUEST, isDhcp6Valid)).toEqual([4, 18, 22]);
});

test("an identifier has a type and something behind it", () => {
  const sizes = [0, 2, 3, 130, 131].filter((size) => isDuid(new Uint8Array(size)));
  expect([sizes, isDuid(undefined)]).toEqual([[3, 130], false]);
});

test("writes a message, as much of it as fits", () => {
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0x10);
  const address = hex("20010db8000000000000000000000010 ffffffff ffffffff");
  const inside = dhcp6OptionBytes(Dhcp6Option.IaAddress, new Uint8Array(address.buffer));
  const options = [
    dhcpOption(Dhcp6Option.Client, linkLayerDuid(mac)),
    dhcpOption(Dhcp6Option.RapidCommit),
    dhcpOption(Dhcp6Option.IaNa, new Uint8Array(hex("00000001 00000e10 00001518").buffer), inside),
  ];
  const write = (room: number): DataView => {
    const view = new DataView(new ArrayBuffer(room));
    const length = writeDhcp6(view, 0, room, Dhcp6Type.Request, 0xf26a7c, options);
    return new DataView(view.buffer.slice(0, length));
  };
  expect(hexOf(write(100))).toBe(hexOf(REQUEST));
  expect(hexOf(write(END))).toBe(hexOf(REQUEST));
  // The last part of an option is left out, then the option.
  expect(write(END - 1).byteLength).toBe(38);
  expect(write(37).byteLength).toBe(22);
  expect(hexOf(write(17))).toBe("03f26a7c000e0000");
});

test("is described for people", () => {
  expect(describeDhcp(REQUEST, 0, 22, 546, 547)).toBe("DHCPv6 Request f26a7c 1=00030001020000000010 14=");
  expect(describeDhcp(hex("63 000001"), 0, 4, 546, 547)).toBe("DHCPv6 type 99 000001");
  expect(describeDhcp(REQUEST, 0, 22, 546, 53)).toBeUndefined();
  expect(describeDhcp(REQUEST, 0, 17, 547, 546)).toBeUndefined();
});
