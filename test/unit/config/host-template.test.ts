import { expect, test } from "@jest/globals";
import { AddressFlag, RouteType, Scope } from "../../../src/base/network.ts";
import { chooseTemplate, type HostNetwork } from "../../../src/config/host-template.ts";
import { address, host, link, nexthop, route } from "../../support/host-network.ts";

const BOTH = { ipv4: true, ipv6: true, addresses: [] };
const TWO_LINKS = {
  links: [link(2, "eth0"), link(3, "wlan0", 1_400)],
  addresses: [address(2, "198.51.100.5/24"), address(3, "203.0.113.5/24"), address(3, "2001:db8::5/64")],
};
const names = (tables: Partial<HostNetwork>, options: Partial<Parameters<typeof chooseTemplate>[1]> = {}) => {
  const template = chooseTemplate(host(tables), { ...BOTH, ...options });
  return [template.ipv4?.link.name, template.ipv6?.link.name];
};

test("the interface with the preferred default route of each family is the template", () => {
  const routes = [
    route(2, "0.0.0.0/0", "198.51.100.1", { metric: 200 }),
    route(3, "0.0.0.0/0", "203.0.113.1", { metric: 100 }),
    route(3, "::/0", "fe80::1"),
  ];
  expect(names({ ...TWO_LINKS, routes })).toEqual(["wlan0", "wlan0"]);
  expect(names({ ...TWO_LINKS, routes: routes.slice(0, 1) })).toEqual(["eth0", undefined]);
});

test("without a default route any route will do, but no loopback and no link-local destination", () => {
  const routes = [
    route(1, "198.51.100.0/25"),
    route(3, "169.254.0.0/16"),
    route(2, "198.51.100.0/24"),
    route(3, "fe80::/64"),
  ];
  expect(names({ ...TWO_LINKS, routes })).toEqual(["eth0", undefined]);
});

test.each([
  ["another table", { table: 100 }],
  ["a blackhole", { type: 6, nexthops: [] }],
  ["a local route", { type: RouteType.Unicast + 1 }],
])("%s chooses nothing", (_, change) => {
  expect(names({ ...TWO_LINKS, routes: [route(2, "0.0.0.0/0", "198.51.100.1", change)] })).toEqual([
    undefined,
    undefined,
  ]);
});

test("an interface without a usable address is passed over", () => {
  const routes = [
    route(2, "0.0.0.0/0", "198.51.100.1"),
    route(3, "0.0.0.0/0", "203.0.113.1", { metric: 600 }),
  ];
  const addresses = [
    address(2, "198.51.100.5/24", { flags: AddressFlag.DadFailed }),
    address(3, "203.0.113.5/24"),
  ];
  expect(names({ ...TWO_LINKS, addresses, routes })).toEqual(["wlan0", undefined]);
  expect(names({ ...TWO_LINKS, addresses, routes }, { addresses: ["192.0.2.1/24"] })).toEqual([
    "eth0",
    undefined,
  ]);
});

test("the first next hop of a multipath route counts for the interface, the heaviest for the gateway", () => {
  const nexthops = [
    nexthop(2, "198.51.100.1", 1),
    nexthop(2, "198.51.100.2", 9),
    nexthop(2, "198.51.100.3", 9),
  ];
  const routes = [route(2, "0.0.0.0/0", "", { nexthops })];
  expect(chooseTemplate(host({ ...TWO_LINKS, routes }), BOTH).ipv4?.gateway).toBe("198.51.100.3");
});

test("a named interface needs no routes; a family it does not serve has no template", () => {
  const routes = [route(3, "0.0.0.0/0", "203.0.113.1")];
  expect(names({ ...TWO_LINKS, routes }, { template: "eth0" })).toEqual(["eth0", undefined]);
  expect(names({ ...TWO_LINKS, routes }, { outboundInterface4: "eth0" })).toEqual(["eth0", undefined]);
  const each = { outboundInterface4: "eth0", outboundInterface6: "wlan0" };
  expect(names({ ...TWO_LINKS, routes: [] }, each)).toEqual(["eth0", "wlan0"]);
  expect(chooseTemplate(host(TWO_LINKS), { ...BOTH, outboundInterface6: "eth0" }).choice6).toBe(
    "waiting for eth0 to have an address",
  );
  expect(names({ ...TWO_LINKS, routes }, { template: "wlan0", ipv4: false })).toEqual([undefined, "wlan0"]);
});

test.each([
  ["is not there", "eth9"],
  ["is the loopback", "lo"],
  ["serves no family that is on", "eth0"],
])("a named interface that %s is waited for", (_, template) => {
  expect(chooseTemplate(host(TWO_LINKS), { ...BOTH, ipv4: false, template })).toEqual({
    choice4: "the family is off",
    choice6: `waiting for ${template} to have an address`,
    ipv6Available: true,
  });
});

test("a host without any network is waited for", () => {
  const choice = "waiting for an interface with a route and an address";
  expect(chooseTemplate(host({}), BOTH)).toEqual({ choice4: choice, choice6: choice, ipv6Available: true });
});

test("a choice says why", () => {
  const routes = [route(2, "198.51.100.0/24", ""), route(3, "::/0", "fe80::1")];
  const { choice4, choice6 } = chooseTemplate(host({ ...TWO_LINKS, routes }), BOTH);
  expect([choice4, choice6]).toEqual(["it has a route", "it has the default route"]);
  expect(chooseTemplate(host(TWO_LINKS), { ...BOTH, template: "eth0" }).choice4).toBe("it was named");
});

test("a family that is excluded or not in the kernel has no template", () => {
  const routes = [route(3, "0.0.0.0/0", "203.0.113.1"), route(3, "::/0", "fe80::1")];
  expect(names({ ...TWO_LINKS, routes }, { ipv4: false })).toEqual([undefined, "wlan0"]);
  expect(names({ ...TWO_LINKS, routes, ipv6Available: false })).toEqual(["wlan0", undefined]);
});

test("all addresses wider than link scope that are good, the longest prefix first, the deprecated ones last", () => {
  const addresses = [
    address(2, "198.51.100.5/24"),
    address(2, "203.0.113.9/32"),
    address(2, "169.254.3.4/16", { scope: Scope.Link }),
    address(2, "fe80::5/64", { scope: Scope.Link }),
    address(2, "fd00::5/64", { scope: 200 }),
    address(2, "2001:db8::6/64", { flags: AddressFlag.DadFailed }),
    address(2, "2001:db8::7/128", { flags: AddressFlag.Deprecated }),
    address(2, "2001:db8::8/128", { flags: AddressFlag.NoPrefixRoute }),
    address(3, "2001:db8::9/64"),
  ];
  const template = chooseTemplate(host({ ...TWO_LINKS, addresses }), { ...BOTH, template: "eth0" });
  expect(template.ipv4?.addresses.map((each) => each.address)).toEqual(["203.0.113.9", "198.51.100.5"]);
  expect(template.ipv6?.addresses.map((each) => each.address)).toEqual([
    "2001:db8::8",
    "fd00::5",
    "2001:db8::7",
  ]);
  expect(template.ipv6?.linkLocal).toBe("fe80::5");
  expect(template.ipv4).not.toHaveProperty("linkLocal");
});

test("of the routes through several interfaces, the template has its own part", () => {
  const mine = [route(2, "0.0.0.0/0", "198.51.100.1"), route(2, "198.51.100.0/24")];
  const routes = [
    ...mine,
    route(3, "203.0.113.0/24"),
    route(2, "203.0.113.0/25", "", { nexthops: [nexthop(2, "198.51.100.1", 5), nexthop(3, "203.0.113.1")] }),
    route(2, "203.0.113.128/25", "", { type: 6, nexthops: [] }),
  ];
  const template = chooseTemplate(host({ ...TWO_LINKS, routes }), BOTH);
  expect(template.ipv4?.routes).toEqual([
    ...mine,
    route(2, "203.0.113.0/25", "198.51.100.1", { scope: Scope.Link }),
  ]);
  expect(template.ipv4?.gateway).toBe("198.51.100.1");
});

test("of a router's many routes, those on the link and the default routes travel, and a thousand others", () => {
  const many = Array.from({ length: 3_000 }, (_, i) =>
    route(2, `203.${i >> 8}.${i & 255}.0/24`, "198.51.100.1"),
  );
  const needed = [route(2, "198.51.100.0/24"), route(2, "0.0.0.0/0", "198.51.100.1")];
  const template = chooseTemplate(host({ ...TWO_LINKS, routes: [...many, ...needed] }), BOTH);
  expect(template.ipv4?.routes).toEqual([...many.slice(0, 1_000), ...needed]);
});

test("a default route without a gateway, or with one of the other family, gives no gateway", () => {
  for (const gateway of ["", "fe80::1"]) {
    const routes = [route(2, "0.0.0.0/0", gateway)];
    expect(chooseTemplate(host({ ...TWO_LINKS, routes }), BOTH).ipv4).not.toHaveProperty("gateway");
  }
});
