import { expect, test } from "@jest/globals";
import { MAIN_TABLE, RouteType, Scope, type Route } from "../../../src/base/network.ts";
import { decodeRoute, encodeRoute } from "../../../src/wire/rtnetlink-route.ts";

// Bodies as Linux 6.18 sent them.
const DEFAULT = "02000000fe0300010000000008000f00fe00000008000500c63364060800040003000000";
const WITH_PREFERRED_SOURCE =
  "02200000fe02fd010000000008000f00fe00000008000100c633640608000700c63364050800040003000000";
const TWO_WAYS =
  "021b0000fe0300010000000008000f00fe00000008000100cb00712034000900100000020300000008000500c63364062000040003000000160012000a00fe8000000000000000000000000000090000";

const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex");
const joined = (words: string): string => words.replaceAll(" ", "");

const ROUTE: Route = {
  family: 4,
  destination: "0.0.0.0",
  destinationLength: 0,
  source: "0.0.0.0",
  sourceLength: 0,
  table: MAIN_TABLE,
  protocol: 3,
  scope: Scope.Universe,
  type: RouteType.Unicast,
  tos: 0,
  metric: 0,
  preference: 0,
  properties: {},
  nexthops: [{ interfaceIndex: 3, gateway: "198.51.100.6", weight: 1, onlink: false }],
};

test("a default route", () => {
  expect(decodeRoute(bytes(DEFAULT))).toEqual(ROUTE);
  expect(hex(encodeRoute(ROUTE))).toBe(
    joined("02000000fe03000100000000 08000f00fe000000 0800040003000000 08000500c6336406"),
  );
});

test("the preferred source is left out: it would have to be the container's", () => {
  const route = decodeRoute(bytes(WITH_PREFERRED_SOURCE))!;
  expect(route).toMatchObject({
    destination: "198.51.100.6",
    destinationLength: 32,
    scope: Scope.Link,
    protocol: 2,
  });
  expect(hex(encodeRoute(route))).not.toContain("08000700");
});

test("several next hops, one through a gateway of the other family; their state is left out", () => {
  const route = decodeRoute(bytes(TWO_WAYS))!;
  expect(route.nexthops).toEqual([
    { interfaceIndex: 3, gateway: "198.51.100.6", weight: 3, onlink: false },
    { interfaceIndex: 3, gateway: "fe80::9", weight: 1, onlink: true },
  ]);
  expect(decodeRoute(encodeRoute(route))).toEqual(route);
  const linkDown = bytes(TWO_WAYS);
  linkDown[34] |= 0x10;
  expect(decodeRoute(linkDown)).toEqual(route);
});

test.each<[string, Partial<Route>]>([
  ["a table above 255", { table: 1000 }],
  ["metric and properties", { metric: 50, properties: { 2: 1300, 11: 20 } }],
  ["no next hop", { type: 6, nexthops: [], destination: "203.0.113.0", destinationLength: 24 }],
  ["on the link", { nexthops: [{ interfaceIndex: 2, gateway: "", weight: 1, onlink: false }] }],
  [
    "declared on the link",
    { nexthops: [{ interfaceIndex: 2, gateway: "203.0.113.1", weight: 1, onlink: true }] },
  ],
  [
    "IPv6 with a source, a preference and a link-local gateway",
    {
      family: 6,
      destination: "2001:db8:1::",
      destinationLength: 48,
      source: "2001:db8::",
      sourceLength: 64,
      preference: 1,
      nexthops: [{ interfaceIndex: 2, gateway: "fe80::1", weight: 1, onlink: false }],
    },
  ],
])("a route travels unchanged: %s", (_, change) => {
  const route = { ...ROUTE, ...change };
  expect(decodeRoute(encodeRoute(route))).toEqual(route);
});

test.each([
  ["nothing", ""],
  ["half a header", DEFAULT.slice(0, 16)],
  ["another family", DEFAULT.replace(/^02/, "80")],
  ["a cached route", DEFAULT.replace("0100000000", "0100020000")],
  ["a prefix longer than an address", DEFAULT.replace(/^0200/, "0221")],
  ["a prefix without an address", DEFAULT.replace(/^0200/, "0208")],
  ["an encapsulated route", DEFAULT + "0800168000000000"],
  ["a next hop beyond the end", TWO_WAYS.replace("10000002", "ff000002")],
  ["a next hop without a length", TWO_WAYS.replace("10000002", "00000002")],
  ["a gateway of a wrong length", DEFAULT.replace("08000500c6336406", "06000500c6330000")],
])("%s is not a route", (_, text) => {
  expect(decodeRoute(bytes(text))).toBeUndefined();
});

test("the number of an interface is read alike in one next hop and in several", () => {
  const several = TWO_WAYS.replaceAll("03000000", "03000080");
  const read = decodeRoute(bytes(several));
  expect(read?.nexthops.map(({ interfaceIndex }) => interfaceIndex)).toEqual([0x80000003, 0x80000003]);
  expect(decodeRoute(encodeRoute(read!))).toEqual(read);
  expect(decodeRoute(bytes(DEFAULT.replace(/03000000$/, "03000080")))?.nexthops).toMatchObject([
    { interfaceIndex: 0x80000003 },
  ]);
});
