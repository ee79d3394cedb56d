import { expect, test } from "@jest/globals";
import { addressKey, difference, routeKey } from "../../../src/config/reconcile.ts";
import { nexthop, route } from "../../support/host-network.ts";

const key = (item: string): string => item;

test("what is wanted and missing is added, what is ours and not wanted is removed", () => {
  expect(difference(["a", "b"], ["b", "c", "d"], ["b", "c"], key)).toEqual({ add: ["a"], remove: ["c"] });
});

test("what somebody else put there stays, and what is gone needs no removal", () => {
  expect(difference([], ["theirs"], ["gone"], key)).toEqual({ add: [], remove: [] });
});

test("nothing to do when all is as wanted", () => {
  expect(difference(["a"], ["a"], [], key)).toEqual({ add: [], remove: [] });
});

test("an address is its text and its prefix length", () => {
  const one = { address: "198.51.100.5", prefixLength: 24, noPrefixRoute: false, metric: 0 };
  expect(addressKey(one)).toBe(addressKey({ ...one, noPrefixRoute: true }));
  expect(addressKey(one)).not.toBe(addressKey({ ...one, prefixLength: 32 }));
});

test("a route is the same whoever made it and through whatever interface", () => {
  const one = route(0, "203.0.113.0/24", "198.51.100.1");
  expect(routeKey(one)).toBe(routeKey(route(7, "203.0.113.0/24", "198.51.100.1", { protocol: 2 })));
  expect(routeKey(route(0, "::/0", "fe80::1"))).toBe(
    routeKey(route(0, "::/0", "fe80::1", { metric: 1_024 })),
  );
});

test.each([
  ["metric", { metric: 5 }],
  ["path", { properties: { 2: 1_300 } }],
  ["next hop", { nexthops: [nexthop(0, "198.51.100.2")] }],
  ["number of next hops", { nexthops: [nexthop(0, "198.51.100.1"), nexthop(0, "198.51.100.2")] }],
  ["prefix length", { destinationLength: 25 }],
  ["type of service", { tos: 4 }],
])("a route with another %s is another route", (_, change) => {
  const one = route(0, "203.0.113.0/24", "198.51.100.1");
  expect(routeKey({ ...one, ...change })).not.toBe(routeKey(one));
});
