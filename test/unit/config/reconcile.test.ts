import { expect, test } from "@jest/globals";
import { AddressFlag, OUR_PROTOCOL, type NetworkAddress, type Route } from "../../../src/base/network.ts";
import { chooseTemplate } from "../../../src/config/host-template.ts";
import { planNetwork } from "../../../src/config/network-plan.ts";
import {
  addressChanges,
  addressKey,
  routeChanges,
  routeKey,
  routeTarget,
  sharedTargets,
  wantedRoutes,
} from "../../../src/config/reconcile.ts";
import { address, host, link, nexthop, route } from "../../support/host-network.ts";

const LINK = 7;
const NOTHING: ReadonlySet<string> = new Set();
const isOurs = ({ protocol }: NetworkAddress): boolean => protocol === OUR_PROTOCOL;
const ours = (text: string, change: Partial<NetworkAddress> = {}): NetworkAddress =>
  address(LINK, text, { protocol: OUR_PROTOCOL, ...change });
const ourRoute = (text: string, gateway = "", change: Partial<Route> = {}): Route =>
  route(LINK, text, gateway, { protocol: OUR_PROTOCOL, ...change });
const names = (addresses: NetworkAddress[]): string[] => addresses.map(addressKey);
const ways = (routes: Route[]): string[] =>
  routes.map((each) => `${each.destination}/${each.destinationLength} ${each.nexthops[0].gateway}`);

test("addresses that are wanted and missing are added, those of ours that are not wanted removed", () => {
  const changes = addressChanges(
    [ours("198.51.100.5/24"), ours("2001:db8::5/64")],
    [ours("2001:db8::5/64"), ours("198.51.100.9/24"), address(LINK, "203.0.113.9/24")],
    isOurs,
    NOTHING,
  );
  expect(names(changes.add)).toEqual(["198.51.100.5/24"]);
  expect(names(changes.remove)).toEqual(["198.51.100.9/24"]);
  expect([changes.before, changes.change]).toEqual([[], []]);
});

test("what was taken away inside stays away, and what was made inside stays", () => {
  const gone = new Set(["198.51.100.5/24"]);
  const theirs = address(LINK, "198.51.100.6/24");
  const wanted = [ours("198.51.100.5/24"), ours("198.51.100.6/24", { metric: 5 })];
  expect(addressChanges(wanted, [theirs], isOurs, gone)).toEqual({
    before: [],
    add: [],
    change: [],
    remove: [],
  });
});

test("other flags or another metric change an address of ours in its place", () => {
  const { NoPrefixRoute, Deprecated, NoDad } = AddressFlag;
  const wanted = [ours("198.51.100.5/24"), ours("2001:db8::5/64", { flags: NoDad }), ours("2001:db8::6/64")];
  const actual = [
    ours("198.51.100.5/24", { metric: 9 }),
    ours("2001:db8::5/64"),
    ours("2001:db8::6/64", { flags: Deprecated }),
  ];
  expect(names(addressChanges(wanted, actual, isOurs, NOTHING).change)).toEqual([
    "198.51.100.5/24",
    "2001:db8::6/64",
  ]);
  // An IPv4 address keeps this flag for life.
  const { before, add } = addressChanges(
    [ours("198.51.100.5/24", { flags: NoPrefixRoute })],
    [ours("198.51.100.5/24")],
    isOurs,
    NOTHING,
  );
  expect([names(before), names(add)]).toEqual([["198.51.100.5/24"], ["198.51.100.5/24"]]);
});

test("IPv6 has an address once: one with another prefix length goes first", () => {
  const changes = addressChanges([ours("2001:db8::5/64")], [ours("2001:db8::5/128")], isOurs, NOTHING);
  expect([names(changes.before), names(changes.add), changes.remove]).toEqual([
    ["2001:db8::5/128"],
    ["2001:db8::5/64"],
    [],
  ]);
});

test("a route is replaced in its place, whatever has no place any more goes", () => {
  const wanted = [ourRoute("0.0.0.0/0", "198.51.100.2"), ourRoute("203.0.113.0/24", "198.51.100.2")];
  const actual = [ourRoute("0.0.0.0/0", "198.51.100.1"), ourRoute("203.0.113.128/25", "198.51.100.1")];
  const { add, replace, remove } = routeChanges(wanted, actual, LINK, NOTHING, NOTHING);
  expect(ways(add)).toEqual(["203.0.113.0/24 198.51.100.2"]);
  expect(ways(replace)).toEqual(["0.0.0.0/0 198.51.100.2"]);
  expect(ways(remove)).toEqual(["203.0.113.128/25 198.51.100.1"]);
});

test("R11: a gateway that was configured inside is not overwritten, nor joined by ours", () => {
  const wanted = [ourRoute("0.0.0.0/0", "198.51.100.2"), ourRoute("203.0.113.0/24", "198.51.100.2")];
  const theirs = route(LINK, "0.0.0.0/0", "198.51.100.77", { metric: 50 });
  const { add, replace, remove } = routeChanges(wanted, [theirs], LINK, NOTHING, NOTHING);
  expect(ways(add)).toEqual(["203.0.113.0/24 198.51.100.2"]);
  expect([replace, remove]).toEqual([[], []]);
});

test("R11: one that was configured beside ours leaves ours as it is: it follows", () => {
  const theirs = route(LINK, "0.0.0.0/0", "198.51.100.77", { metric: 50 });
  const both = [theirs, ourRoute("0.0.0.0/0", "198.51.100.1")];
  const shared = sharedTargets(both, LINK, NOTHING);
  const follow = (actual: Route[], gateway: string, metric: number): string[][] => {
    const wanted = ourRoute("0.0.0.0/0", gateway, { metric });
    return Object.values(routeChanges([wanted], actual, LINK, NOTHING, shared)).map(ways);
  };
  expect(follow(both, "198.51.100.1", 0)).toEqual([[], [], []]);
  expect(follow(both, "198.51.100.2", 0)).toEqual([[], ["0.0.0.0/0 198.51.100.2"], []]);
  // Its place is not given up for ours.
  expect(follow(both, "198.51.100.2", 50)).toEqual([[], [], ["0.0.0.0/0 198.51.100.1"]]);
  // The host had none for a moment.
  expect(sharedTargets([theirs], LINK, shared)).toEqual(shared);
  expect(follow([theirs], "198.51.100.2", 0)).toEqual([["0.0.0.0/0 198.51.100.2"], [], []]);
});

test("whoever comes first alone, or has gone meanwhile, shares nothing", () => {
  const theirs = route(LINK, "0.0.0.0/0", "198.51.100.77", { metric: 50 });
  const own = ourRoute("0.0.0.0/0", "198.51.100.1");
  const elsewhere = route(9, "0.0.0.0/0", "198.51.100.1", { protocol: OUR_PROTOCOL });
  for (const actual of [[theirs], [own], [theirs, elsewhere], [theirs, ourRoute("203.0.113.0/24")]]) {
    expect(sharedTargets(actual, LINK, NOTHING).size).toBe(0);
  }
  expect(sharedTargets([own], LINK, new Set([routeTarget(own)])).size).toBe(0);
});

test("what the kernel made by itself counts as there, what was taken away stays away", () => {
  const wanted = [ourRoute("198.51.100.0/24"), ourRoute("0.0.0.0/0", "198.51.100.2")];
  const gone = new Set([routeTarget(wanted[1])]);
  const kernel = route(LINK, "198.51.100.0/24", "", { protocol: 2 });
  expect(routeChanges(wanted, [kernel], LINK, gone, NOTHING)).toEqual({ add: [], replace: [], remove: [] });
});

test("the kernel's own route to a prefix gives way to the one that the host has in that place", () => {
  const kernel = route(LINK, "198.51.100.0/24", "", { protocol: 2 });
  const wanted = ourRoute("198.51.100.0/24", "", { properties: { 2: 1_300 } });
  expect(routeChanges([wanted], [kernel], LINK, NOTHING, NOTHING)).toEqual({
    add: [],
    replace: [wanted],
    remove: [],
  });
  const elsewhere = { ...kernel, nexthops: [nexthop(9, "")] };
  expect(routeChanges([wanted], [elsewhere], LINK, NOTHING, NOTHING)).toMatchObject({
    add: [wanted],
    replace: [],
  });
});

test("where somebody inside drops packets, they are dropped", () => {
  const blackhole = route(LINK, "203.0.113.0/24", "", { type: 6, nexthops: [] });
  const wanted = [ourRoute("203.0.113.0/24", "198.51.100.2")];
  expect(routeChanges(wanted, [blackhole], LINK, NOTHING, NOTHING)).toEqual({
    add: [],
    replace: [],
    remove: [],
  });
});

test("an address means a route to its prefix, where nothing else is in its place", () => {
  const tables = host({
    links: [link(2, "eth0")],
    addresses: [
      address(2, "198.51.100.5/24", { metric: 50 }),
      address(2, "203.0.113.5/25", { flags: AddressFlag.NoPrefixRoute }),
      address(2, "203.0.113.6/32"),
      address(2, "2001:db8::5/64"),
      address(2, "2001:db8:1::5/128"),
    ],
    routes: [route(2, "0.0.0.0/0", "198.51.100.1"), route(2, "2001:db8::/64", "", { metric: 256 })],
  });
  const options = { ipv4: true, ipv6: true, addresses: [], gateways: [] };
  const plan = planNetwork(chooseTemplate(tables, options), options);
  const places = wantedRoutes(plan).map(
    (each) => `${each.destination}/${each.destinationLength} ${each.metric}`,
  );
  const ipv4 = ["0.0.0.0/0 0", "198.51.100.0/24 50"];
  expect(places).toEqual([...ipv4, "2001:db8::/64 256", "2001:db8:1::5/128 256", "2001:db8::/64 256"]);
  expect(routeChanges(wantedRoutes(plan), [], LINK, NOTHING, NOTHING).add).toHaveLength(4);
  plan.ipv6.enabled = false;
  expect(wantedRoutes(plan)).toHaveLength(2);
});

test("routes of other links are not ours, whatever they say", () => {
  const elsewhere = route(9, "203.0.113.0/24", "", { protocol: OUR_PROTOCOL });
  expect(routeChanges([], [elsewhere], LINK, NOTHING, NOTHING).remove).toEqual([]);
});

test("of two routes in one place the first is wanted", () => {
  const wanted = [ourRoute("0.0.0.0/0", "198.51.100.1"), ourRoute("0.0.0.0/0", "198.51.100.2")];
  expect(ways(routeChanges(wanted, [], LINK, NOTHING, NOTHING).add)).toEqual(["0.0.0.0/0 198.51.100.1"]);
  expect(routeChanges(wanted, [wanted[0]], LINK, NOTHING, NOTHING)).toEqual({
    add: [],
    replace: [],
    remove: [],
  });
});

test("an address is its text and its prefix length", () => {
  expect(addressKey(address(1, "198.51.100.5/24"))).toBe("198.51.100.5/24");
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
  ["table", { table: 100 }],
])("a route with another %s is another route", (_, change) => {
  const one = route(0, "203.0.113.0/24", "198.51.100.1");
  expect(routeKey({ ...one, ...change })).not.toBe(routeKey(one));
});
