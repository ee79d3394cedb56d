import { expect, test } from "@jest/globals";
import { chooseTemplate } from "../../../src/config/host-template.ts";
import { connectionOf, type Connection } from "../../../src/config/connection.ts";
import { DEFAULT_NETWORK, type NetworkOptions } from "../../../src/config/options.ts";
import { withPrivateAddresses } from "../../../src/config/private-addresses.ts";
import { address, host, link, route } from "../../support/host-network.ts";

const PRIVATE: NetworkOptions = { ...DEFAULT_NETWORK, addressing: "private" };

/** What a host with these routes and addresses gives. */
function chosen(
  routes: readonly string[] = [],
  asked: Partial<NetworkOptions> = {},
  addresses: readonly string[] = [],
): { addresses: string[]; gateways: string[] } {
  const tables = host({
    routes: routes.map((each) => route(2, each)),
    addresses: addresses.map((each) => address(2, each)),
  });
  const network = withPrivateAddresses({ ...PRIVATE, ...asked }, tables);
  return { addresses: network.addresses, gateways: network.gateways };
}

test("the same host gives the same addresses, of both families", () => {
  const wanted = {
    addresses: ["10.198.117.2/24", "fd62:7563:6174:1::2/64"],
    gateways: ["10.198.117.1", "fd62:7563:6174:1::1"],
  };
  expect(chosen()).toEqual(wanted);
  expect(chosen(["0.0.0.0/0", "::/0", "198.51.100.0/24", "10.198.116.0/24"])).toEqual(wanted);
});

test.each([
  ["10.198.117.0/24", "10.198.118.2/24"],
  ["10.198.117.7/32", "10.198.118.2/24"],
  ["10.198.0.0/16", "172.27.117.2/24"],
  ["10.0.0.0/8", "172.27.117.2/24"],
  ["10.0.0.0/8 172.16.0.0/12", "192.168.117.2/24"],
  ["10.0.0.0/8 172.16.0.0/12 192.168.117.0/24", "192.168.118.2/24"],
  ["10.0.0.0/8 172.16.0.0/12 192.168.0.0/16", "100.98.117.2/24"],
  ["10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10", "198.18.117.2/24"],
  // All is taken: what only the widest route leads to hides least.
  ["10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 198.18.0.0/15", "10.198.117.2/24"],
  ["10.198.0.0/16 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 198.18.0.0/15", "100.98.117.2/24"],
  // A VPN that takes everything without replacing the default route.
  ["0.0.0.0/1 128.0.0.0/1", "10.198.117.2/24"],
])("a host with routes to %s leaves %s", (routes, wanted) => {
  expect(chosen(routes.split(" ")).addresses[0]).toBe(wanted);
  // A point-to-point address has no route of its own in the main table.
  expect(chosen([], {}, routes.split(" ")).addresses[0]).toBe(wanted);
});

test("IPv6 collides as well", () => {
  expect(chosen(["fd62:7563:6174:1::/64"]).gateways[1]).toBe("fd62:7563:6174:2::1");
  expect(chosen(["fd62:7563:6174:1::9/128", "fd62:7563:6174:2::/63"]).addresses[1]).toBe(
    "fd62:7563:6174:4::2/64",
  );
  expect(chosen(["fd00::/8"]).addresses[1]).toBe("fd62:7563:6174:1::2/64");
});

test("what was given wins for its family, and a family that is off gets nothing", () => {
  expect(chosen([], { addresses: ["192.0.2.7/24"], gateways: ["fe80::1"] })).toEqual({
    addresses: ["192.0.2.7/24", "fd62:7563:6174:1::2/64"],
    gateways: ["fe80::1", "10.198.117.1"],
  });
  expect(chosen([], { ipv6: false })).toEqual({ addresses: ["10.198.117.2/24"], gateways: ["10.198.117.1"] });
  // As an IPAM plugin gives them.
  const routes = [{ destination: "192.0.2.0/24" }];
  expect(chosen([], { ipv6: false, addresses: ["10.22.0.5/16"], routes })).toEqual({
    addresses: ["10.22.0.5/16"],
    gateways: [],
  });
});

const ETH0 = host({
  links: [link(2, "eth0", 1_400)],
  addresses: [address(2, "198.51.100.2/24")],
  routes: [route(2, "0.0.0.0/0", "198.51.100.1"), route(2, "198.51.100.0/24")],
});
const NAMESERVERS = { nameservers: ["198.51.100.53"], search: [], options: [] };

function connection(tables: typeof ETH0): Connection {
  const network = withPrivateAddresses({ ...PRIVATE, mapGuest: ["169.254.1.2"] }, ETH0);
  return connectionOf(chooseTemplate(tables, network), NAMESERVERS, { network, dnsForward: [] });
}

test("both families have addresses and a default route through us, which the host's loopback is behind", () => {
  const { plan, rules } = connection(ETH0);
  for (const [family, text] of [
    [plan.ipv4, "0.0.0.0/0 10.198.117.1"],
    [plan.ipv6, "::/0 fd62:7563:6174:1::1"],
  ] as const) {
    const routes = family.routes.map(
      ({ destination, destinationLength, nexthops }) =>
        `${destination}/${destinationLength} ${nexthops[0]?.gateway}`,
    );
    expect([family.enabled, routes]).toEqual([true, [text]]);
  }
  expect(plan).toMatchObject({
    mtu: 1_400,
    ipv4: { hostAddress: "198.51.100.2" },
    ipv6: { ours: "fe80::1" },
  });
  expect(rules).toMatchObject({ mapHostLoopback4: "10.198.117.1", mapHostLoopback6: "fd62:7563:6174:1::1" });
});

test("whatever becomes of the host, addresses and routes stay, and only the rest follows", () => {
  const later = host({
    links: [link(5, "wlan0", 1_300)],
    addresses: [
      address(5, "10.198.117.9/24"),
      address(5, "fe80::7/64", { scope: 253 }),
      address(5, "2001:db8::5/64"),
    ],
    routes: [route(5, "0.0.0.0/0", "10.198.117.1"), route(5, "::/0", "fe80::9")],
  });
  const before = connection(ETH0).plan;
  for (const tables of [later, host({})]) {
    const { plan } = connection(tables);
    for (const family of ["ipv4", "ipv6"] as const) {
      const { addresses, routes, gateway, ours, enabled } = plan[family];
      expect(before[family]).toMatchObject({ addresses, routes, gateway, ours, enabled });
    }
  }
  expect(connection(later).plan).toMatchObject({
    mtu: 1_300,
    ipv4: { hostInterface: "wlan0", hostAddress: "10.198.117.9" },
    ipv6: { hostInterfaceIndex: 5, hostAddress: "2001:db8::5" },
  });
});
