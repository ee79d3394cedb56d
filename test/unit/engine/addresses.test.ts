import { expect, test } from "@jest/globals";
import { formatIp, ipv4Words, parseIp } from "../../../src/base/address.ts";
import type { NetworkLink, Route } from "../../../src/base/network.ts";
import { NO_TEMPLATE } from "../../../src/config/host-template.ts";
import { planNetwork, plannedRoute } from "../../../src/config/network-plan.ts";
import { DEFAULT_NETWORK, type EngineOptions, type NetworkOptions } from "../../../src/config/options.ts";
import { buildLink, buildRules, updateNet } from "../../../src/engine/addresses.ts";
import { noteSeen } from "../../../src/forward/address-rules.ts";
import type { Link } from "../../../src/proto/link.ts";
import type { Net } from "../../../src/proto/net.ts";

const HOST_LINK: NetworkLink = { index: 2, name: "eth0", mac: "", mtu: 1500, flags: 1, hasIpv6: true };

/** What an engine is told whose host has these routes; one without routes for IPv6 has none. */
function engineOptions(routes: Route[], network: Partial<NetworkOptions> = {}): EngineOptions {
  const [ipv4, ipv6] = [4, 6].map((family) => ({
    link: HOST_LINK,
    addresses: [],
    routes: routes.filter((each) => each.family === family),
  }));
  const services = { dhcp: { ipv4: true, ipv6: true }, routerAdvertisements: true };
  const asked = {
    ...DEFAULT_NETWORK,
    ...services,
    addresses: ["192.0.2.10/24", "2001:db8::10/64"],
    ...network,
  };
  return {
    plan: planNetwork({ ...NO_TEMPLATE, ipv4, ...(ipv6.routes.length > 0 && { ipv6 }) }, asked),
    interface: { name: "eth0", index: 2, mtu: 1500 },
    asked: { network: asked, dnsForward: [] },
    advertise: {
      resolvers: ["169.254.1.1", "fd00::53"],
      searchDomains: ["corp.test"],
      fqdn: "box.corp.test",
    },
    rules: { dnsServers: [] },
  } as unknown as EngineOptions;
}

const link = (routes: Route[], network: Partial<NetworkOptions> = {}): Link =>
  buildLink(engineOptions(routes, network), 0);

const route = (destination: string, gateway: string, more: Partial<Route> = {}): Route => ({
  ...plannedRoute(4, { destination, ...(gateway !== "" && { gateway }) }),
  ...more,
});

test("of the routes, those are told that a program can be told", () => {
  const { routes } = link([
    route("0.0.0.0/0", "192.0.2.9", { metric: 600 }),
    route("0.0.0.0/0", "192.0.2.1", { metric: 100 }),
    route("0.0.0.0/0", "192.0.2.8", { metric: 900 }),
    route("198.51.100.0/24", ""),
    // A gateway of the other family: everybody is on this link.
    route("203.0.113.0/24", "fe80::1"),
    route("10.0.0.0/8", "192.0.2.1", { table: 100 }),
    route("10.1.0.0/16", "192.0.2.1", { type: 7 }),
  ]).v4;
  const text = routes.map(
    ({ destination, length, gateway }) =>
      `${formatIp(ipv4Words(destination))}/${length} ${formatIp(ipv4Words(gateway))}`,
  );
  expect(text.toSorted()).toEqual([
    "0.0.0.0/0 192.0.2.1",
    "198.51.100.0/24 0.0.0.0",
    "203.0.113.0/24 0.0.0.0",
  ]);
});

test("so it is with IPv6, where all of them lead through us", () => {
  const { routes } = link([
    { ...plannedRoute(6, { destination: "::/0", gateway: "fe80::1" }), metric: 1024 },
    { ...plannedRoute(6, { destination: "::/0", gateway: "fe80::2" }), metric: 512 },
    plannedRoute(6, { destination: "2001:db8:5::/48" }),
    { ...plannedRoute(6, { destination: "2001:db8:6::/48" }), table: 100 },
  ]).v6;
  const text = routes.map(({ address, length }) => `${formatIp(address)}/${length}`);
  expect(text.toSorted()).toEqual(["2001:db8:5::/48", "::/0"]);
});

test("what services tell is what was asked for", () => {
  const off = { dhcp: { ipv4: true, ipv6: false }, routerAdvertisements: false, follow: false };
  const { v4, v6, routerAdvertisements, follows, advertise } = link([], off);
  expect([v4.dhcp, v6.dhcp, routerAdvertisements, follows]).toEqual([true, false, false, false]);
  expect([v4.prefixLengths, v4.assigned.map((each) => formatIp(each))]).toEqual([[24], ["192.0.2.10"]]);
  expect(advertise.resolvers.map((each) => formatIp(each))).toEqual(["169.254.1.1", "fd00::53"]);
  expect(advertise).toMatchObject({ searchDomains: ["corp.test"], fqdn: "box.corp.test" });
});

test("routes that nobody can ask for are not kept", () => {
  const routes = [
    plannedRoute(4, { destination: "10.0.0.0/8" }),
    plannedRoute(6, { destination: "2001:db8:5::/48" }),
  ];
  const { v4, v6 } = link(routes, { dhcp: { ipv4: false, ipv6: false }, routerAdvertisements: false });
  expect([v4.routes, v6.routes]).toEqual([[], []]);
});

test("the host's neighbours are the container's, where it has a template and no link of its own", () => {
  const { v4, v6 } = link([]);
  expect([v4.neighbourhood, v6.neighbourhood]).toEqual([HOST_LINK.index, 0]);
  expect(link([], { addressing: "private" }).v4.neighbourhood).toBe(0);
});

test("a deprecated address is the container's, but nobody is told to use it while there is another", () => {
  const options = engineOptions([], { addresses: ["198.51.100.9/24", "198.51.100.10/25"] });
  const [first, second] = options.plan.ipv4.addresses;
  first.deprecated = true;
  const told = (): [string[], number[]] => {
    const { assigned, prefixLengths } = buildLink(options, 0).v4;
    return [assigned.map((each) => formatIp(each)), prefixLengths];
  };
  expect(told()).toEqual([["198.51.100.10"], [25]]);
  const { assigned } = buildRules(options, buildLink(options, 0)).v4;
  expect(assigned.map((each) => formatIp(each))).toEqual(["198.51.100.9", "198.51.100.10"]);
  second.deprecated = true;
  expect(told()).toEqual([
    ["198.51.100.9", "198.51.100.10"],
    [24, 25],
  ]);
});

test("R6: where the container was heard is not changed by what happens to the host", () => {
  const options = engineOptions([]);
  const built = buildLink(options, 0);
  const net = { link: built, rules: buildRules(options, built) } as unknown as Net;
  const heard = parseIp("192.0.2.77")!;
  // These were given; others would be heard.
  noteSeen({ ...net.rules.v4, isFixed: false }, heard, 0);
  updateNet(net, engineOptions([], { addresses: ["198.51.100.9/24", "198.51.100.10/24"] }), 0);
  expect(net.link.v4.assigned.map((each) => formatIp(each))).toEqual(["198.51.100.9", "198.51.100.10"]);
  expect(formatIp(net.rules.v4.seen)).toBe("192.0.2.77");
});
