import { expect, test } from "@jest/globals";
import { formatIp, formatMac, parseIp } from "../../../src/base/address.ts";
import { MAIN_TABLE, RouteType, Scope, type Nexthop, type Route } from "../../../src/base/network.ts";
import {
  readNeighbourMac,
  readNexthop,
  writeNeighbourLookup,
  writeRouteLookup,
} from "../../../src/wire/rtnetlink-lookup.ts";
import { viewOf } from "../../../src/wire/netlink-message.ts";
import { encodeRoute } from "../../../src/wire/rtnetlink-route.ts";

const words = (text: string): Uint32Array => parseIp(text)!;
const hex = (view: DataView, length: number): string => Buffer.from(view.buffer, 4, length).toString("hex");
const joined = (text: string): string => text.replaceAll(" ", "");

// Bodies as Linux 6.18 takes and sends them on a little-endian machine.
test("requests ask for one address, whatever was in the buffer before", () => {
  const view = new DataView(new ArrayBuffer(64));
  new Uint8Array(view.buffer).fill(0xee);
  const route4 = "02200000 00000000 00000000 08000100 c6336407";
  expect(hex(view, writeRouteLookup(view, 4, words("198.51.100.7"), 0))).toBe(joined(route4));
  const route6 = "0a800000 00000000 00000000 14000100 20010db8000000000000000000000007";
  expect(hex(view, writeRouteLookup(view, 4, words("2001:db8::7"), 0))).toBe(joined(route6));
  const neighbour = "02000000 03000000 00000000 08000100 c6336407";
  expect(hex(view, writeNeighbourLookup(view, 4, words("198.51.100.7"), 0, 3))).toBe(joined(neighbour));
});

const route = (family: 4 | 6, nexthop: Partial<Nexthop>, more: Partial<Route> = {}): Uint8Array =>
  encodeRoute({
    family,
    destination: family === 4 ? "198.51.100.7" : "2001:db8::7",
    destinationLength: family === 4 ? 32 : 128,
    source: family === 4 ? "0.0.0.0" : "::",
    sourceLength: 0,
    table: MAIN_TABLE,
    protocol: 2,
    scope: Scope.Universe,
    type: RouteType.Unicast,
    tos: 0,
    metric: 0,
    preference: 0,
    properties: {},
    nexthops: [{ interfaceIndex: 3, gateway: "", weight: 1, onlink: false, ...nexthop }],
    ...more,
  });

const LOCAL = 2;
test.each([
  ["on the link", route(4, {}), "192.0.2.9"],
  ["behind a router", route(4, { gateway: "198.51.100.1" }), "198.51.100.1"],
  ["behind a router of the other family", route(4, { gateway: "fe80::1" }), "fe80::1"],
  ["behind a router", route(6, { gateway: "fe80::1" }), "fe80::1"],
  ["through another interface", route(4, { interfaceIndex: 4 }), "elsewhere"],
  ["on the host itself", route(4, {}, { type: LOCAL }), "elsewhere"],
  ["nowhere", new Uint8Array(0), "elsewhere"],
])("a route that leads %s", (_name, body, found) => {
  const hop = words("192.0.2.9");
  const isFound = readNexthop(viewOf(body), 0, body.length, 3, hop);
  expect(isFound ? formatIp(hop) : "elsewhere").toBe(found);
});

/** struct ndmsg with a state, and attributes. */
const neighbour = (state: number, attributes: string): Uint8Array =>
  Uint8Array.from(
    Buffer.from(
      joined(`02000000 03000000 ${state.toString(16).padStart(2, "0")}000001 ${attributes}`),
      "hex",
    ),
  );
const ADDRESS = "08000100c6336407";
const MAC = "0a000200 020000000007 0000";

test.each([
  ["permanent", neighbour(0x80, ADDRESS + MAC), "02:00:00:00:00:07"],
  ["without resolution", neighbour(0x40, ADDRESS + MAC), "02:00:00:00:00:07"],
  ["reachable", neighbour(0x02, ADDRESS + MAC), "02:00:00:00:00:07"],
  ["stale", neighbour(0x04, ADDRESS + MAC), "02:00:00:00:00:07"],
  ["delay", neighbour(0x08, ADDRESS + MAC), "02:00:00:00:00:07"],
  ["probe", neighbour(0x10, ADDRESS + MAC), "02:00:00:00:00:07"],
  ["incomplete", neighbour(0x01, ADDRESS + MAC), "unknown"],
  ["failed", neighbour(0x20, ADDRESS + MAC), "unknown"],
  ["without an address", neighbour(0x02, ADDRESS), "unknown"],
  ["of other hardware", neighbour(0x02, "0c000200 0200000000070809"), "unknown"],
  ["all zero", neighbour(0x40, "0a000200 000000000000 0000"), "unknown"],
  ["a group", neighbour(0x40, "0a000200 01005e000001 0000"), "unknown"],
  ["cut off", neighbour(0x02, "0a000200 0200"), "unknown"],
  ["empty", new Uint8Array(0), "unknown"],
])("a neighbour that is %s", (_name, body, found) => {
  const mac = new Uint8Array(6);
  const isKnown = readNeighbourMac(viewOf(body), 0, body.length, mac);
  expect(isKnown ? formatMac(mac) : "unknown").toBe(found);
});
