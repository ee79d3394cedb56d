/** Neighbour discovery as text for logs and tests; see describe.ts. Lifetimes are told where they are not for ever. */
import { formatIp } from "../base/address.ts";
import { icmp6Type } from "./icmp6.ts";
import { ipv6Words } from "./ipv6.ts";
import { isNeighborAdvertisementValid, isNeighborSolicitationValid, NDP_TARGET, NdpType } from "./ndp.ts";
import {
  INFINITE_SECONDS,
  isRouterAdvertisementValid,
  readRouterAdvertisement,
  type RouterAdvertisement,
} from "./router-advertisement.ts";

/** Describes the ICMPv6 message `[at, end)`; undefined when it is not of neighbour discovery. */
export function describeNdp(view: DataView, at: number, end: number): string | undefined {
  if (icmp6Type(view, at) === NdpType.RouterSolicitation) return "router solicitation";
  if (isRouterAdvertisementValid(view, at, end)) {
    return describeAdvertisement(readRouterAdvertisement(view, at, end));
  }
  if (isNeighborSolicitationValid(view, at, end)) {
    return `neighbor solicitation, who has ${formatIp(ipv6Words(view, at + NDP_TARGET))}`;
  }
  if (isNeighborAdvertisementValid(view, at, end)) {
    return `neighbor advertisement, target ${formatIp(ipv6Words(view, at + NDP_TARGET))}`;
  }
  return undefined;
}

function describeAdvertisement(message: RouterAdvertisement): string {
  const { lifetimeSeconds, managed, mtu, prefixes, routes, resolvers, searchLists } = message;
  const parts = [
    `router advertisement, lifetime ${lifetimeSeconds}${managed ? ", managed" : ""}`,
    ...(mtu === undefined ? [] : [`MTU ${mtu}`]),
    ...prefixes.map(
      (each) => `prefix ${prefixText(each)}${during(each.preferredSeconds, each.validSeconds)}`,
    ),
    ...routes.map((each) => `route ${prefixText(each)}${during(each.seconds)}`),
    ...resolvers.map(
      ({ addresses, seconds }) =>
        `resolver ${addresses.map((each) => formatIp(each)).join(" ")}${during(seconds)}`,
    ),
    ...searchLists.map(({ domains, seconds }) => `search ${domains.join(" ")}${during(seconds)}`),
  ];
  return parts.join(", ");
}

const prefixText = ({ address, length }: { address: Uint32Array; length: number }): string =>
  `${formatIp(address)}/${length}`;

const during = (...seconds: number[]): string =>
  seconds.every((each) => each === INFINITE_SECONDS) ? "" : ` for ${seconds.join("/")} s`;
