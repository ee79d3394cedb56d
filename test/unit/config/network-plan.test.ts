import { expect, test } from "@jest/globals";
import { AddressFlag, LinkFlag, Scope } from "../../../src/base/network.ts";
import { chooseTemplate } from "../../../src/config/host-template.ts";
import { planNetwork, type NetworkPlan, type PlanOptions } from "../../../src/config/network-plan.ts";
import { address, host, link, route } from "../../support/host-network.ts";

const DEFAULTS: PlanOptions = { ipv4: true, ipv6: true, addresses: [], gateways: [] };
const HOST = host({
  links: [link(2, "eth0", 1_450)],
  addresses: [
    address(2, "198.51.100.5/24", { flags: AddressFlag.NoPrefixRoute, metric: 50 }),
    address(2, "2001:db8::5/64"),
    address(2, "fe80::5/64", { scope: Scope.Link }),
  ],
  routes: [
    route(2, "198.51.100.0/24", "", { metric: 50 }),
    route(2, "0.0.0.0/0", "198.51.100.1"),
    route(2, "::/0", "fe80::1", { metric: 1024 }),
  ],
});

function plan(options: Partial<PlanOptions> = {}, tables = HOST): NetworkPlan {
  const merged = { ...DEFAULTS, ...options };
  return planNetwork(chooseTemplate(tables, merged), merged);
}

const ways = (each: NetworkPlan["ipv4"]) =>
  each.routes.map(({ destination, destinationLength, nexthops }) => [
    `${destination}/${destinationLength}`,
    nexthops[0]?.gateway,
    nexthops[0]?.onlink,
  ]);

test("by default the container gets what the template has", () => {
  const made = plan();
  expect(made).toMatchObject({
    interfaceName: "eth0",
    mtu: 1_450,
    ourMac: "9a:55:9a:55:9a:55",
    localMode: { ipv4: false, ipv6: false },
    ipv4: { enabled: true, gateway: "198.51.100.1", ours: "198.51.100.1", hostInterface: "eth0" },
    ipv6: { enabled: true, gateway: "fe80::1", ours: "fe80::1", hostInterfaceIndex: 2 },
  });
  expect(made).not.toHaveProperty("mac");
  expect(made.ipv4.addresses).toEqual([
    { address: "198.51.100.5", prefixLength: 24, noPrefixRoute: true, metric: 50, deprecated: false },
  ]);
  expect(made.ipv6.addresses).toEqual([
    { address: "2001:db8::5", prefixLength: 64, noPrefixRoute: false, metric: 0, deprecated: false },
  ]);
  expect(ways(made.ipv4)).toEqual([
    ["198.51.100.0/24", "", false],
    ["0.0.0.0/0", "198.51.100.1", false],
  ]);
  expect(made.ipv4.pinnedAddresses || made.ipv4.pinnedRoutes).toBe(false);
});

test("a plan survives JSON", () => {
  expect(JSON.parse(JSON.stringify(plan()))).toEqual(plan());
});

test("names, MAC addresses and the MTU can be given", () => {
  expect(
    plan({ interfaceName: "net0", mac: "02:00:00:00:00:09", ourMac: "02:00:00:00:00:08", mtu: 9_000 }),
  ).toMatchObject({
    interfaceName: "net0",
    mac: "02:00:00:00:00:09",
    ourMac: "02:00:00:00:00:08",
    mtu: 9_000,
  });
  expect(plan({ mtu: 65_535 }).mtu).toBe(65_520);
  expect(plan({ mtu: 0 })).toMatchObject({ mtu: 0, ipv6: { enabled: true } });
});

test("the smaller MTU of two templates counts", () => {
  const tables = host({
    links: [link(2, "eth0"), link(3, "wg0", 1_420)],
    addresses: [address(2, "198.51.100.5/24"), address(3, "2001:db8::5/128")],
    routes: [route(2, "0.0.0.0/0", "198.51.100.1"), route(3, "::/0")],
  });
  expect(plan({}, tables)).toMatchObject({
    interfaceName: "eth0",
    mtu: 1_420,
    ipv6: { hostInterface: "wg0", ours: "fe80::1" },
  });
  expect(plan({}, tables).ipv6).not.toHaveProperty("gateway");
});

test("a given address pins its family only, and the template's routes still come", () => {
  const made = plan({ addresses: ["203.0.113.5/28", "203.0.113.6/28"] });
  expect(made.ipv4.addresses.map((each) => `${each.address}/${each.prefixLength}`)).toEqual([
    "203.0.113.5/28",
    "203.0.113.6/28",
  ]);
  expect(made.ipv4).toMatchObject({ pinnedAddresses: true, pinnedRoutes: false, gateway: "198.51.100.1" });
  expect(made.ipv4.routes).toHaveLength(2);
  expect(made.ipv6.pinnedAddresses).toBe(false);
  expect(made.ipv6.addresses).toHaveLength(1);
});

test.each([
  ["10.1.2.3", 8],
  ["172.16.2.3", 16],
  ["192.168.2.3", 24],
  ["240.0.0.1", 32],
  ["2001:db8::7", 64],
  ["2001:db8::7/48", 48],
  ["10.1.2.3/30", 30],
])("%s gets the prefix length %d", (text, prefixLength) => {
  const made = plan({ addresses: [text] });
  const family = text.includes(":") ? made.ipv6 : made.ipv4;
  expect(family.addresses.map((each) => each.prefixLength)).toEqual([prefixLength]);
});

test("text that is no address is a usage error", () => {
  expect(() => plan({ addresses: ["10.0.0.1/33"] })).toThrow(expect.objectContaining({ code: "USAGE" }));
});

test("a given gateway replaces its family's routes", () => {
  const made = plan({ gateways: ["198.51.100.9"] });
  expect(ways(made.ipv4)).toEqual([["0.0.0.0/0", "198.51.100.9", false]]);
  expect(made.ipv4).toMatchObject({ pinnedRoutes: true, gateway: "198.51.100.9", ours: "198.51.100.9" });
  expect(made.ipv6.pinnedRoutes).toBe(false);
  expect(made.ipv6.routes).toHaveLength(1);
});

test.each([
  ["203.0.113.1", true],
  ["198.51.100.77", false],
  ["2001:db8::1", false],
  ["2001:db8:1::1", true],
  ["fe80::9", false],
])("gateway %s is declared to be on the link: %s", (gateway, onlink) => {
  const made = plan({ gateways: [gateway] });
  const family = gateway.includes(":") ? made.ipv6 : made.ipv4;
  expect(family.routes.map((each) => each.nexthops[0]?.onlink)).toEqual([onlink]);
});

test("our IPv6 address is the gateway if link-local, else the template's link-local", () => {
  expect(plan({ gateways: ["fe80::9"] }).ipv6.ours).toBe("fe80::9");
  expect(plan({ gateways: ["2001:db8::1"] }).ipv6.ours).toBe("fe80::5");
});

test("without a network on the host both families are in local mode", () => {
  const made = plan({}, host({}));
  expect(made).toMatchObject({
    interfaceName: "tap0",
    mtu: 65_520,
    localMode: { ipv4: true, ipv6: true },
    ipv4: { gateway: "169.254.2.2", ours: "169.254.2.2", hostInterfaceIndex: 0 },
    ipv6: { gateway: "fe80::1", ours: "fe80::1", addresses: [] },
  });
  expect(made.ipv4.addresses).toEqual([
    { address: "169.254.2.1", prefixLength: 16, noPrefixRoute: false, metric: 0, deprecated: false },
  ]);
  expect(ways(made.ipv4)).toEqual([["0.0.0.0/0", "169.254.2.2", false]]);
  expect(ways(made.ipv6)).toEqual([["::/0", "fe80::1", false]]);
});

test("local mode is for each family, and never for one that is off", () => {
  const only4 = host({ ...HOST, links: HOST.links.slice(1), addresses: HOST.addresses.slice(0, 1) });
  expect(plan({}, only4).localMode).toEqual({ ipv4: false, ipv6: true });
  const off = plan({ ipv6: false }, only4);
  expect(off.localMode).toEqual({ ipv4: false, ipv6: false });
  expect(off.ipv6).toMatchObject({ enabled: false, addresses: [], routes: [] });
  expect(off.ipv6).not.toHaveProperty("gateway");
  expect(plan({}, { ...only4, ipv6Available: false })).toMatchObject({
    localMode: { ipv6: false },
    ipv6: { enabled: false },
  });
});

test("a name for the container's interface changes nothing else", () => {
  const { interfaceName, ...made } = plan({ interfaceName: "tap0" });
  const { interfaceName: _, ...other } = plan();
  expect(interfaceName).toBe("tap0");
  expect(made).toEqual(other);
});

test("an MTU that IPv6 forbids switches it off", () => {
  expect(plan({ mtu: 1_279 }).ipv6.enabled).toBe(false);
  expect(plan({ mtu: 1_280 }).ipv6.enabled).toBe(true);
});

test("the host is known by its template's first address, whatever the container has", () => {
  expect(plan({ addresses: ["10.0.0.2/24"] })).toMatchObject({
    ipv4: { hostAddress: "198.51.100.5" },
    ipv6: { hostAddress: "2001:db8::5" },
  });
  expect(plan({}, host({})).ipv4).not.toHaveProperty("hostAddress");
});

const withFlags = (flags: number) => ({ ...HOST, links: [{ ...link(2, "eth0"), flags }] });

test("the carrier is that of the templates, if it is to follow", () => {
  const lower = LinkFlag.Up | LinkFlag.LowerUp;
  expect(plan({ carrier: "follow" }, withFlags(lower)).carrier).toBe(true);
  expect(plan({ carrier: "follow" }, withFlags(LinkFlag.Up)).carrier).toBe(false);
  expect(plan({ carrier: "follow" }, host({})).carrier).toBe(false);
  expect(plan({ carrier: "up" }, host({})).carrier).toBe(true);
  const second = { ...link(3, "wlan0"), flags: lower };
  const tables = {
    ...withFlags(LinkFlag.Up),
    links: [link(2, "eth0"), second],
    routes: [route(2, "0.0.0.0/0", "198.51.100.1"), route(3, "::/0", "fe80::1")],
    addresses: [address(2, "198.51.100.5/24"), address(3, "2001:db8::5/64")],
  };
  expect(plan({ carrier: "follow" }, tables).carrier).toBe(true);
});
