/**
 * Applies a network plan inside the container's network namespace, through a netlink socket that was made there.
 * The pieces that add and remove are used again when the host changes.
 */
import { constants } from "node:os";
import { formatIp, parseMac } from "../base/address.ts";
import { AppError, SysError } from "../base/errors.ts";
import { AddressFlag, AddressGeneration, LinkFlag, MAIN_TABLE, RouteType, Scope } from "../base/network.ts";
import type { Family, NetworkAddress, NetworkLink, Route } from "../base/network.ts";
import type { FamilyPlan, NetworkPlan, PlannedAddress } from "../config/network-plan.ts";
import type { Netlink } from "../kernel/netlink.ts";
import {
  addAddress,
  addRoute,
  changeLink,
  dumpAddresses,
  dumpLinks,
  dumpRoutes,
} from "../kernel/rtnetlink.ts";

/** Frames that wait for the engine before the container's kernel drops some. */
const TAP_QUEUE_LENGTH = 4_096;
/** What every link-local address has (RFC 4291 section 2.5.6). */
const LINK_PREFIX = { prefixLength: 64, noPrefixRoute: false, metric: 0 };
const { EEXIST, EACCES, EOPNOTSUPP, EAFNOSUPPORT } = constants.errno;

export interface ConfiguredNetns {
  /** The TAP, or the loopback interface without one. */
  name: string;
  interfaceIndex: number;
  /** The container's MAC address, given or made by the kernel. */
  mac: string;
  /** The container's own link-local address; undefined without IPv6. */
  linkLocal?: string;
  /** Whether the container's kernel has the family; false turns it off. */
  ipv4: boolean;
  ipv6: boolean;
  /** What could not be done, one sentence each. */
  warnings: string[];
}

/**
 * Throws AppError or SysError when the link itself cannot be set up; a family that cannot is left out.
 * @param tapName undefined where there is only the loopback interface
 * @param withAddresses otherwise somebody inside sets MTU, addresses and routes and brings the link up
 */
export function configureNetns(
  netlink: Netlink,
  plan: NetworkPlan,
  tapName = "lo",
  withAddresses = true,
): ConfiguredNetns {
  bringLoopbackUp(netlink);
  const link = linkNamed(netlink, tapName);
  const mac = plan.mac ?? link.mac;
  if (tapName === "lo" || !withAddresses) {
    if (plan.mac !== undefined) changeLink(netlink, link.index, { mac });
    const { ipv4, ipv6 } = plan;
    const families = { ipv4: ipv4.enabled, ipv6: ipv6.enabled };
    // What the container's kernel gives itself, by default, when the link comes up.
    const linkLocal = tapName === "lo" || !ipv6.enabled ? {} : { linkLocal: linkLocalFrom(mac) };
    return { name: tapName, interfaceIndex: link.index, mac, ...linkLocal, ...families, warnings: [] };
  }
  changeLink(netlink, link.index, {
    txQueueLength: TAP_QUEUE_LENGTH,
    ...(plan.mac !== undefined && { mac }),
    ...(plan.mtu !== 0 && { mtu: plan.mtu }),
  });
  const result: ConfiguredNetns = {
    name: tapName,
    interfaceIndex: link.index,
    mac,
    ipv4: false,
    ipv6: false,
    warnings: [],
  };
  // Our own link-local address needs no duplicate address detection, the kernel's would: a second without IPv6.
  // And where IPv6 is not wanted, nothing of it should be there.
  const isOurs = setAddressGeneration(netlink, link.index, AddressGeneration.None);
  changeLink(netlink, link.index, { setFlags: LinkFlag.Up });
  if (plan.ipv4.enabled) result.ipv4 = configureFamily(netlink, 4, plan.ipv4, result);
  if (!plan.ipv6.enabled) return result;
  const linkLocal = linkLocalFrom(mac);
  const six = { ...plan.ipv6, addresses: [{ ...LINK_PREFIX, address: linkLocal }, ...plan.ipv6.addresses] };
  result.ipv6 = configureFamily(netlink, 6, six, result);
  if (result.ipv6) result.linkLocal = linkLocal;
  // After the link goes down and up again, the kernel makes the same address by itself.
  if (isOurs) setAddressGeneration(netlink, link.index, AddressGeneration.Eui64);
  return result;
}

/** Brings the namespace's loopback interface up. */
export function bringLoopbackUp(netlink: Netlink): void {
  changeLink(netlink, linkNamed(netlink, "lo").index, { setFlags: LinkFlag.Up });
}

/** Adds addresses to a link; one that is there already counts as added. Throws SysError. */
export function addAddresses(
  netlink: Netlink,
  interfaceIndex: number,
  family: Family,
  addresses: readonly PlannedAddress[],
): void {
  for (const each of addresses) {
    ignoring([EEXIST], () => addAddress(netlink, onLink(interfaceIndex, family, each)));
  }
}

/** A route that the kernel did not take, and why. */
export interface RefusedRoute {
  route: Route;
  reason: string;
}

/**
 * Adds routes through a link; one that is there already counts as added. A gateway may be reachable only through
 * a route that comes later, so the refused ones are tried again until a round adds nothing.
 */
export function addRoutes(
  netlink: Netlink,
  interfaceIndex: number,
  routes: readonly Route[],
): RefusedRoute[] {
  let pending = routes.map((route): RefusedRoute => ({
    route: throughLink(route, interfaceIndex),
    reason: "",
  }));
  for (;;) {
    const refused = pending.flatMap(({ route }) => {
      const reason = tryRoute(netlink, route);
      return reason === undefined ? [] : [{ route, reason }];
    });
    if (refused.length === 0 || refused.length === pending.length) return refused;
    pending = refused;
  }
}

/** The addresses of more than link scope that a link has, in the terms of a plan. */
export function actualAddresses(netlink: Netlink, interfaceIndex: number, family: Family): PlannedAddress[] {
  return dumpAddresses(netlink, interfaceIndex)
    .filter((each) => each.family === family && each.scope < Scope.Link)
    .map(({ address, prefixLength, flags, metric }) => ({
      address,
      prefixLength,
      noPrefixRoute: (flags & AddressFlag.NoPrefixRoute) !== 0,
      metric,
    }));
}

/** The unicast routes of the main table through a link, in the terms of a plan. */
export function actualRoutes(netlink: Netlink, interfaceIndex: number, family: Family): Route[] {
  return dumpRoutes(netlink, MAIN_TABLE)
    .filter(
      (route) =>
        route.family === family &&
        route.type === RouteType.Unicast &&
        route.nexthops.some((nexthop) => nexthop.interfaceIndex === interfaceIndex),
    )
    .map((route) => throughLink(route, 0));
}

/** Whether the kernel has the family. */
function configureFamily(
  netlink: Netlink,
  family: Family,
  plan: FamilyPlan,
  { interfaceIndex, warnings }: ConfiguredNetns,
): boolean {
  try {
    addAddresses(netlink, interfaceIndex, family, plan.addresses);
  } catch (cause) {
    if (!isFamilyMissing(cause)) throw cause;
    warnings.push(`the container has no IPv${family}: ${cause.message}`);
    return false;
  }
  for (const { route, reason } of addRoutes(netlink, interfaceIndex, plan.routes)) {
    warnings.push(`route ${describeRoute(route)} is not copied: ${reason}`);
  }
  return true;
}

/** Switched off by sysctl (EACCES) or not in the kernel. */
function isFamilyMissing(cause: unknown): cause is SysError {
  return cause instanceof SysError && [EACCES, EOPNOTSUPP, EAFNOSUPPORT].includes(cause.errno);
}

/** Whether the kernel of this namespace lets us; without IPv6 it does not. */
function setAddressGeneration(netlink: Netlink, index: number, addressGeneration: number): boolean {
  try {
    changeLink(netlink, index, { addressGeneration });
    return true;
  } catch (cause) {
    if (cause instanceof SysError) return false;
    throw cause;
  }
}

function linkNamed(netlink: Netlink, name: string): NetworkLink {
  const link = dumpLinks(netlink).find((each) => each.name === name);
  if (link !== undefined) return link;
  throw new AppError("INTERNAL", `the container has no interface ${name} to configure: create it first`);
}

function tryRoute(netlink: Netlink, route: Route): string | undefined {
  try {
    ignoring([EEXIST], () => addRoute(netlink, route));
    return undefined;
  } catch (cause) {
    if (cause instanceof SysError) return cause.message;
    throw cause;
  }
}

/** IPv6 addresses skip duplicate address detection: nobody else is on the link. */
function onLink(interfaceIndex: number, family: Family, planned: PlannedAddress): NetworkAddress {
  const noDad = family === 6 ? AddressFlag.NoDad : 0;
  const noPrefixRoute = planned.noPrefixRoute ? AddressFlag.NoPrefixRoute : 0;
  const { address, prefixLength, metric } = planned;
  const flags = noDad | noPrefixRoute;
  return { interfaceIndex, family, address, prefixLength, scope: Scope.Universe, flags, metric };
}

const throughLink = (route: Route, interfaceIndex: number): Route => ({
  ...route,
  nexthops: route.nexthops.map((nexthop) => ({ ...nexthop, interfaceIndex })),
});

/** fe80::/64 and the modified EUI-64 of a MAC address (RFC 4291 appendix A), as the kernel makes it. */
function linkLocalFrom(mac: string): string {
  const bytes = parseMac(mac);
  if (bytes === undefined) throw new RangeError(`${mac} is not a MAC address`);
  const [a, b, c, d, e, f] = bytes;
  return formatIp(
    Uint32Array.of(
      0xfe800000,
      0,
      ((a ^ 2) << 24) | (b << 16) | (c << 8) | 0xff,
      (0xfe << 24) | (d << 16) | (e << 8) | f,
    ),
  );
}

function describeRoute(route: Route): string {
  const gateways = route.nexthops.map((nexthop) => nexthop.gateway).filter((gateway) => gateway !== "");
  const via = gateways.length === 0 ? "" : ` via ${gateways.join(", ")}`;
  return `${route.destination}/${route.destinationLength}${via}`;
}

function ignoring(errors: readonly number[], action: () => void): void {
  try {
    action();
  } catch (cause) {
    if (!(cause instanceof SysError && errors.includes(cause.errno))) throw cause;
  }
}
