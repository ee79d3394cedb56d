import { expect, test } from "@jest/globals";
import { describeDhcp } from "../../../src/wire/describe-dhcp.ts";
import { dhcpOption } from "../../../src/wire/dhcp-option.ts";
import {
  dhcp4Address,
  dhcp4ClientAddress,
  Dhcp4Option,
  dhcp4Options,
  dhcp4RelayAddress,
  Dhcp4Type,
  dhcp4Type,
  dhcp4Value,
  dhcp4WantsBroadcast,
  dhcp4YourAddress,
  isDhcp4RequestValid,
  isDhcp4Valid,
  writeDhcp4Reply,
} from "../../../src/wire/dhcp4.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

const FIXED = `
  01 06 00                          // Ethernet, 6 bytes of address, no hops
  3903f326 0004 8000                // transaction, seconds, broadcast
  c000020a 00000000 00000000 c0000207
  020000000010 00000000000000000000
  ${"00".repeat(192)}               // server's name, boot file
  63825363`;
const REQUEST = hex(`01 ${FIXED}
  35 01 03                          // request
  00 00                             // padding
  32 04 c000020a                    // address
  37 03 01037f                      // parameters
  50 00                             // rapid commit
  ff
`);
const END = REQUEST.byteLength;
const valid = (view: DataView): boolean => isDhcp4RequestValid(view, 0, view.byteLength);

test("reads a request", () => {
  expect(valid(REQUEST)).toBe(true);
  expect(dhcp4Type(REQUEST, 0, END)).toBe(Dhcp4Type.Request);
  expect(dhcp4ClientAddress(REQUEST, 0)).toBe(0xc000020a);
  expect(dhcp4YourAddress(REQUEST, 0)).toBe(0);
  expect(dhcp4RelayAddress(REQUEST, 0)).toBe(0xc0000207);
  expect(dhcp4WantsBroadcast(REQUEST, 0)).toBe(true);
  expect(dhcp4Options(REQUEST, 0, END).map((option) => REQUEST.getUint8(option))).toEqual([53, 50, 55, 80]);
  expect(dhcp4Address(REQUEST, 0, END, Dhcp4Option.RequestedAddress)).toBe(0xc000020a);
  expect(dhcp4Value(REQUEST, 0, END, Dhcp4Option.ParameterRequestList)).toEqual(Uint8Array.of(1, 3, 127));
  // Empty is not absent, and a list of three bytes is no address.
  expect(dhcp4Value(REQUEST, 0, END, Dhcp4Option.RapidCommit)).toEqual(new Uint8Array(0));
  expect(dhcp4Value(REQUEST, 0, END, Dhcp4Option.Server)).toBeUndefined();
  expect(dhcp4Address(REQUEST, 0, END, Dhcp4Option.ParameterRequestList)).toBe(0);
});

test("a request that is cut off is valid only where an option ends", () => {
  expect(validTruncations(REQUEST, isDhcp4RequestValid)).toEqual([240, 243, 244, 245, 251, 256, 258]);
});

test("of what stands behind the end nothing is read", () => {
  const view = hex(`01 ${FIXED} ff 35 01 03 32 ff`);
  expect(valid(view)).toBe(true);
  expect(dhcp4Type(view, 0, view.byteLength)).toBe(Dhcp4Type.Bootp);
  expect(dhcp4Options(view, 0, view.byteLength)).toEqual([]);
});

test.each([
  ["a reply", `02 ${FIXED} ff`],
  ["another kind of network", `01 07 ${FIXED.slice(5)} ff`],
  ["another magic cookie", `01 ${FIXED.replace("63825363", "63825364")} ff`],
  ["an option that is longer than the message", `01 ${FIXED} 35 02 03`],
  ["an option without a length", `01 ${FIXED} 35`],
])("%s is no valid request", (_name, text) => {
  expect(valid(hex(text))).toBe(false);
});

test("a type of no byte, of two bytes, or 0 is none", () => {
  for (const option of ["3500", "35020303", "350100"]) {
    const view = hex(`01 ${FIXED} ${option} ff`);
    expect(dhcp4Type(view, 0, view.byteLength)).toBe(-1);
  }
});

test("an answer repeats what it must of the request, and is as long as BOOTP wants it", () => {
  const view = new DataView(new ArrayBuffer(1000));
  new Uint8Array(view.buffer).fill(0xee, 500);
  new Uint8Array(view.buffer).set(new Uint8Array(REQUEST.buffer));
  const length = writeDhcp4Reply(view, 500, 1000, 0, {
    clientAddress: 0,
    yourAddress: 0xc000020a,
    options: [dhcpOption(53, Uint8Array.of(5)), dhcpOption(80)],
  });
  const reply = new DataView(view.buffer.slice(500, 500 + length));
  expect(hexOf(reply)).toBe(
    hexOf(
      hex(`02 01 06 00 3903f326 0000 8000 00000000 c000020a 00000000 00000000
        020000000010 00000000000000000000 ${"00".repeat(192)} 63825363
        35 01 05 50 00 ff ${"00".repeat(54)}`),
    ),
  );
  expect(isDhcp4Valid(reply, 0, length)).toBe(true);
  expect(describeDhcp(reply, 0, length, 67, 68)).toBe("DHCP Ack ciaddr 0.0.0.0 yiaddr 192.0.2.10 53=05 80=");
});

/** Lengths of the options that are written into so much room, and of the message. */
function write(room: number): { lengths: number[]; length: number } {
  const view = new DataView(new ArrayBuffer(2000));
  new Uint8Array(view.buffer).set(new Uint8Array(REQUEST.buffer));
  const parts = [200, 200, 200].map((size) => new Uint8Array(size).fill(1));
  const options = [dhcpOption(119, ...parts), dhcpOption(12, Uint8Array.of(65))];
  const message = { clientAddress: 0, yourAddress: 0, options };
  const length = writeDhcp4Reply(view, 600, 600 + room, 0, message);
  // The byte behind its room is not touched.
  expect(view.getUint8(600 + room)).toBe(0);
  const found = dhcp4Options(view, 600, 600 + length);
  return { lengths: found.map((option) => view.getUint8(option + 1)), length };
}

test("values of more than 255 bytes go into several options, and what does not fit is left out", () => {
  expect(write(1200)).toEqual({ lengths: [255, 255, 90, 1], length: 240 + 606 + 3 + 1 });
  expect(write(240 + 606 + 1)).toEqual({ lengths: [255, 255, 90], length: 240 + 606 + 1 });
  expect(write(240 + 606)).toEqual({ lengths: [255, 145, 1], length: 240 + 404 + 3 + 1 });
  expect(write(300)).toEqual({ lengths: [1], length: 300 });
});
