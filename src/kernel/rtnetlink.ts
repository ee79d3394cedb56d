/** Typed rtnetlink requests about links, addresses, routes, neighbours and rules. All throw SysError. */
import { SysError } from "../base/errors.ts";
import type { NetworkAddress, NetworkLink, Route } from "../base/network.ts";
import { ENOENT } from "../ffi/constants.ts";
import { NetlinkFlag } from "../wire/netlink-message.ts";
import {
  addressDumpBody,
  decodeAddress,
  decodeLink,
  decodeNeighbour,
  decodeRule,
  encodeAddress,
  encodeLinkChange,
  linkDumpBody,
  neighbourDumpBody,
  RtnetlinkType,
  ruleDumpBody,
} from "../wire/rtnetlink-message.ts";
import type { LinkChange, Neighbour, Rule } from "../wire/rtnetlink-message.ts";
import { decodeRoute, encodeRoute, routeDumpBody } from "../wire/rtnetlink-route.ts";
import type { Netlink } from "./netlink.ts";

/** Multicast groups for `Netlink.subscribe`. @see linux/rtnetlink.h, enum rtnetlink_groups */
export const RtnetlinkGroup = {
  Link: 1,
  Neighbour: 3,
  Ipv4Address: 5,
  Ipv4Route: 7,
  Ipv4Rule: 8,
  Ipv6Address: 9,
  Ipv6Route: 11,
  Ipv6Rule: 19,
} as const;

const ADD = NetlinkFlag.Create | NetlinkFlag.Exclusive;

export function dumpLinks(netlink: Netlink): NetworkLink[] {
  return netlink.dump(RtnetlinkType.GetLink, linkDumpBody(), decodeLink);
}

/** Takes all messages that were sent to a group, and hands out the links that they tell of; see `Netlink.drain`. */
export function drainLinks(netlink: Netlink, handle: (link: NetworkLink) => void): "complete" | "resync" {
  return netlink.drain(({ type, body }) => {
    if (type !== RtnetlinkType.NewLink) return;
    const link = decodeLink(body);
    if (link !== undefined) handle(link);
  });
}

export function changeLink(netlink: Netlink, index: number, change: LinkChange): void {
  netlink.request(RtnetlinkType.NewLink, 0, encodeLinkChange(index, change));
}

/** The addresses of one interface, or of all. */
export function dumpAddresses(netlink: Netlink, interfaceIndex = 0): NetworkAddress[] {
  return netlink
    .dump(RtnetlinkType.GetAddress, addressDumpBody(interfaceIndex), decodeAddress)
    .filter((address) => interfaceIndex === 0 || address.interfaceIndex === interfaceIndex);
}

export function addAddress(netlink: Netlink, address: NetworkAddress): void {
  netlink.request(RtnetlinkType.NewAddress, ADD, encodeAddress(address));
}

/** Adds an address, or gives the flags and the metric of `address` to the one that is there. */
export function changeAddress(netlink: Netlink, address: NetworkAddress): void {
  netlink.request(RtnetlinkType.NewAddress, NetlinkFlag.Create | NetlinkFlag.Replace, encodeAddress(address));
}

export function deleteAddress(netlink: Netlink, address: NetworkAddress): void {
  netlink.request(RtnetlinkType.DeleteAddress, 0, encodeAddress(address));
}

/** A router of the Internet has a million routes, which would be paid for in memory by each of its containers. */
const CACHED_MAX = 4_000;

/**
 * What the messages of a table said, by their bytes: a table is read again and again, and hardly changes. The same
 * message gives the same object as before.
 */
export class DumpCache<T> {
  readonly #entries = new Map<string, { readonly decoded: T | undefined; turn: number }>();
  #turn = 0;

  get(body: Uint8Array, decode: (body: Uint8Array) => T | undefined): T | undefined {
    const key = Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1");
    const known = this.#entries.get(key);
    const entry = known ?? { decoded: decode(body), turn: 0 };
    if (known === undefined && this.#entries.size < CACHED_MAX) this.#entries.set(key, entry);
    entry.turn = this.#turn;
    return entry.decoded;
  }

  /** Forgets what has not been asked for since the last time. */
  turn(): void {
    for (const [key, { turn }] of this.#entries) if (turn !== this.#turn) this.#entries.delete(key);
    this.#turn++;
  }
}

/** Stands for all tables of routes. */
export const ALL_TABLES = 0;

/**
 * The routes of one table, or of all. A table that does not exist is empty.
 * @param isWanted leaves out others at once: there may be more than should be kept
 */
export function dumpRoutes(
  netlink: Netlink,
  table: number,
  cache?: DumpCache<Route>,
  isWanted: (route: Route) => boolean = () => true,
): Route[] {
  const decode = (body: Uint8Array): Route | undefined => {
    const route = cache === undefined ? decodeRoute(body) : cache.get(body, decodeRoute);
    const isIn = route !== undefined && (table === ALL_TABLES || route.table === table);
    return isIn && isWanted(route) ? route : undefined;
  };
  try {
    return netlink.dump(RtnetlinkType.GetRoute, routeDumpBody(table), decode);
  } catch (cause) {
    if (cause instanceof SysError && cause.errno === ENOENT) return [];
    throw cause;
  }
}

export function addRoute(netlink: Netlink, route: Route): void {
  netlink.request(RtnetlinkType.NewRoute, ADD, encodeRoute(route));
}

/** Adds a route in the place of one with the same destination, metric and type of service. */
export function changeRoute(netlink: Netlink, route: Route): void {
  netlink.request(RtnetlinkType.NewRoute, NetlinkFlag.Create | NetlinkFlag.Replace, encodeRoute(route));
}

export function deleteRoute(netlink: Netlink, route: Route): void {
  netlink.request(RtnetlinkType.DeleteRoute, 0, encodeRoute(route));
}

export function dumpNeighbours(netlink: Netlink): Neighbour[] {
  return netlink.dump(RtnetlinkType.GetNeighbour, neighbourDumpBody(), decodeNeighbour);
}

export function dumpRules(netlink: Netlink): Rule[] {
  return netlink.dump(RtnetlinkType.GetRule, ruleDumpBody(), decodeRule);
}
