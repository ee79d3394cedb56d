/**
 * The difference between what a container should have and what it has. Pure. What somebody inside configured stays as
 * it is, and what he took away stays away: only what carries our mark is ever changed or removed.
 */
import { formatIp, IP_WORDS, networkOf, parseIp } from "../base/address.ts";
import {
  AddressFlag,
  type Family,
  type NetworkAddress,
  OUR_PROTOCOL,
  type Route,
  RouteProtocol,
  Scope,
} from "../base/network.ts";
import { type NetworkPlan, plannedRoute, type PlannedAddress } from "./network-plan.ts";

/** What the kernel makes of metric 0. @see linux/ipv6_route.h, IP6_RT_PRIO_USER */
export const IPV6_DEFAULT_METRIC = 1_024;
/** Of its routes to the prefixes of addresses. @see linux/ipv6_route.h, IP6_RT_PRIO_ADDRCONF */
const IPV6_PREFIX_METRIC = 256;

/** In the order in which they have to be applied. */
export interface AddressChanges {
  /** In the way of what is to be added. */
  before: NetworkAddress[];
  add: NetworkAddress[];
  /** There already, with other flags or another metric; IPv4 keeps NoPrefixRoute for life. */
  change: NetworkAddress[];
  remove: NetworkAddress[];
}

/** In the order in which they have to be applied. */
export interface RouteChanges {
  add: Route[];
  /** In the place of one of ours, or of the kernel's own. */
  replace: Route[];
  remove: Route[];
}

/**
 * @param wanted what the link should have
 * @param actual all that the link has
 * @param isOurs tells addresses that we put there
 * @param gone keys of what was taken away inside
 */
export function addressChanges(
  wanted: readonly NetworkAddress[],
  actual: readonly NetworkAddress[],
  isOurs: (address: NetworkAddress) => boolean,
  gone: ReadonlySet<string>,
): AddressChanges {
  const changes: AddressChanges = { before: [], add: [], change: [], remove: [] };
  const there = new Map(actual.map((address) => [addressKey(address), address]));
  const wantedKeys = new Set(wanted.map(addressKey));
  for (const address of wanted) {
    const key = addressKey(address);
    const found = there.get(key);
    if (found === undefined) {
      if (!gone.has(key)) changes.add.push(address);
    } else if (isOurs(found) && isDifferent(found, address)) {
      const isInPlace = address.family === 6 || !hasOther(found, address, AddressFlag.NoPrefixRoute);
      (isInPlace ? changes.change : changes.add).push(address);
      if (!isInPlace) changes.before.push(found);
    }
  }
  const added = new Set(changes.add.filter(({ family }) => family === 6).map(({ address }) => address));
  for (const address of actual) {
    if (!isOurs(address) || wantedKeys.has(addressKey(address)) || address.scope >= Scope.Link) continue;
    // IPv6 has an address once, whatever its prefix length.
    if (added.has(address.address)) changes.before.push(address);
    else changes.remove.push(address);
  }
  return changes;
}

const LASTING_FLAGS = AddressFlag.NoPrefixRoute | AddressFlag.Deprecated;

const isDifferent = (actual: NetworkAddress, wanted: NetworkAddress): boolean =>
  hasOther(actual, wanted, LASTING_FLAGS) || actual.metric !== wanted.metric;

const hasOther = (actual: NetworkAddress, wanted: NetworkAddress, flags: number): boolean =>
  ((actual.flags ^ wanted.flags) & flags) !== 0;

/**
 * @param wanted routes through the container's link
 * @param actual all routes of their tables
 * @param interfaceIndex of the container's link
 * @param gone `routeTarget`s of what was taken away inside
 * @param shared `sharedTargets`
 */
export function routeChanges(
  wanted: readonly Route[],
  actual: readonly Route[],
  interfaceIndex: number,
  gone: ReadonlySet<string>,
  shared: ReadonlySet<string>,
): RouteChanges {
  const changes: RouteChanges = { add: [], replace: [], remove: [] };
  const keys = new Set(actual.map(routeKey));
  const here = actual.filter((route) => isThrough(route, interfaceIndex));
  const ours = here.filter(isOurRoute);
  const replaceable = new Set(here.filter((route) => !isTheirs(route)).map(routeSlot));
  const theirs = actual.filter(isTheirs);
  const theirSlots = new Set(theirs.map(routeSlot));
  const theirTargets = new Set(theirs.map(routeTarget).filter((target) => !shared.has(target)));
  const isIn = (targets: ReadonlySet<string>, route: Route): boolean =>
    targets.size > 0 && targets.has(routeTarget(route));
  const slots = new Set<string>();
  const wantedKeys = new Set<string>();
  for (const route of wanted) {
    const slot = routeSlot(route);
    // The kernel has one route in each place.
    if (slots.has(slot)) continue;
    slots.add(slot);
    if (theirSlots.has(slot) || isIn(theirTargets, route)) continue;
    wantedKeys.add(routeKey(route));
    if (keys.has(routeKey(route)) || isIn(gone, route)) continue;
    if (replaceable.has(slot)) changes.replace.push(route);
    else changes.add.push(route);
  }
  const replaced = new Set(changes.replace.map(routeSlot));
  changes.remove = ours.filter(
    (route) => !wantedKeys.has(routeKey(route)) && !replaced.has(routeSlot(route)),
  );
  return changes;
}

/**
 * `routeTarget`s to which somebody inside has added a way of his own beside ours: he wants both.
 * @param actual all routes of their tables
 * @param before what this gave when we looked last; ours may have been away since
 */
export function sharedTargets(
  actual: readonly Route[],
  interfaceIndex: number,
  before: ReadonlySet<string>,
): ReadonlySet<string> {
  const theirs = actual.filter(isTheirs);
  if (theirs.length === 0) return new Set();
  const ours = new Set(
    actual.filter((route) => isOurRoute(route) && isThrough(route, interfaceIndex)).map(routeTarget),
  );
  return new Set(theirs.map(routeTarget).filter((target) => ours.has(target) || before.has(target)));
}

/** The routes that a plan comes to. Of two in one place the first is wanted. */
export const wantedRoutes = ({ ipv4, ipv6 }: NetworkPlan): Route[] => [
  ...(ipv4.enabled ? [...ipv4.routes, ...prefixRoutes(4, ipv4.addresses)] : []),
  ...(ipv6.enabled ? [...ipv6.routes, ...prefixRoutes(6, ipv6.addresses)] : []),
];

/** What the kernel makes for addresses, but once only: what has been in its place may have gone. */
const prefixRoutes = (family: Family, addresses: readonly PlannedAddress[]): Route[] =>
  addresses
    .filter(({ noPrefixRoute, prefixLength }) => !noPrefixRoute && !(family === 4 && prefixLength === 32))
    .map(({ address, prefixLength, metric }) => {
      const network = networkOf(parseIp(address) ?? NOWHERE, prefixLength);
      return plannedRoute(family, {
        destination: `${formatIp(network)}/${prefixLength}`,
        metric: metric === 0 && family === 6 ? IPV6_PREFIX_METRIC : metric,
      });
    });

const NOWHERE = new Uint32Array(IP_WORDS);

const isOurRoute = ({ protocol }: Route): boolean => protocol === OUR_PROTOCOL;

/** What the kernel makes by itself, and what we made, stands in nobody's way. */
const isTheirs = (route: Route): boolean => !isOurRoute(route) && route.protocol !== RouteProtocol.Kernel;

const isThrough = ({ nexthops }: Route, interfaceIndex: number): boolean =>
  nexthops.some((nexthop) => nexthop.interfaceIndex === interfaceIndex);

/** Key of an address: what the kernel tells two addresses of a link apart by. */
export const addressKey = ({ address, prefixLength }: { address: string; prefixLength: number }): string =>
  `${address}/${prefixLength}`;

/** Texts by which routes are told apart; made once for each, for there can be thousands. */
interface RouteNames {
  slot: string;
  key: string;
}

const NAMES = new WeakMap<Route, RouteNames>();

function namesOf(route: Route): RouteNames {
  const known = NAMES.get(route);
  if (known !== undefined) return known;
  // Joined, a text is in one piece; put together otherwise, it would keep its pieces, too.
  const slot = [routeTarget(route), metricOf(route.family, route.metric)].join(" ");
  const ways = route.nexthops.map(({ gateway, weight }) => `${gateway}*${weight}`).toSorted();
  const names = { slot, key: [slot, ...ways, JSON.stringify(route.properties)].join(" ") };
  NAMES.set(route, names);
  return names;
}

/** Key of a route: its place, and which way; not who made it, nor on which interface. */
export const routeKey = (route: Route): string => namesOf(route).key;

/** The place of a route: the kernel takes no second one there. */
const routeSlot = (route: Route): string => namesOf(route).slot;

/** Whether these are the same routes; mostly the same objects, too, as what a kernel says of them is kept. */
export const areSameRoutes = (one: readonly Route[], other: readonly Route[]): boolean =>
  one.length === other.length &&
  one.every((route, i) => route === other[i] || routeKey(route) === routeKey(other[i]));

/** Where a route leads to, by whatever way. */
export function routeTarget(route: Route): string {
  const { table, destination, destinationLength, source, sourceLength, tos } = route;
  const from = sourceLength === 0 ? "" : ` from ${source}/${sourceLength}`;
  return `${destination}/${destinationLength}${from} tos ${tos} table ${table}`;
}

const metricOf = (family: number, metric: number): number =>
  family === 6 && metric === 0 ? IPV6_DEFAULT_METRIC : metric;
