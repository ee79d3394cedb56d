/** Short forms for the tables of a host in tests. */
import { LinkFlag, MAIN_TABLE, RouteType, Scope } from "../../src/base/network.ts";
import type { NetworkAddress, NetworkLink, Nexthop, Route } from "../../src/base/network.ts";
import type { HostNetwork } from "../../src/config/host-template.ts";

const LOOPBACK: NetworkLink = {
  index: 1,
  name: "lo",
  mac: "",
  mtu: 65_536,
  flags: LinkFlag.Loopback,
  hasIpv6: true,
};

export const link = (index: number, name: string, mtu = 1_500): NetworkLink => ({
  index,
  name,
  mac: "02:00:00:00:00:01",
  mtu,
  flags: LinkFlag.Up,
  hasIpv6: true,
});

/** An address on interface `interfaceIndex` from "address/length". */
export function address(
  interfaceIndex: number,
  text: string,
  change: Partial<NetworkAddress> = {},
): NetworkAddress {
  const [ip = "", length] = text.split("/");
  const family = ip.includes(":") ? 6 : 4;
  const prefixLength = Number(length);
  return {
    interfaceIndex,
    family,
    address: ip,
    prefixLength,
    scope: Scope.Universe,
    flags: 0,
    metric: 0,
    protocol: 0,
    ...change,
  };
}

/** A route to "address/length" through interface `interfaceIndex`. */
export function route(
  interfaceIndex: number,
  text: string,
  gateway = "",
  change: Partial<Route> = {},
): Route {
  const [destination = "", length] = text.split("/");
  const family = destination.includes(":") ? 6 : 4;
  return {
    family,
    destination,
    destinationLength: Number(length),
    source: family === 4 ? "0.0.0.0" : "::",
    sourceLength: 0,
    table: MAIN_TABLE,
    protocol: 3,
    scope: gateway === "" ? Scope.Link : Scope.Universe,
    type: RouteType.Unicast,
    tos: 0,
    metric: 0,
    preference: 0,
    properties: {},
    nexthops: [nexthop(interfaceIndex, gateway)],
    ...change,
  };
}

export const nexthop = (interfaceIndex: number, gateway: string, weight = 1): Nexthop => ({
  interfaceIndex,
  gateway,
  weight,
  onlink: false,
});

/** A host with a loopback interface and what is given. */
export const host = (tables: Partial<HostNetwork>): HostNetwork => ({
  addresses: [],
  routes: [],
  ipv6Available: true,
  ...tables,
  links: [LOOPBACK, ...(tables.links ?? [])],
});
