/**
 * The difference between what a container should have and what it has. Whatever somebody else put there stays:
 * only what we installed ourselves is ever removed.
 */
import type { Route } from "../base/network.ts";
import type { PlannedAddress } from "./network-plan.ts";

/** What the kernel makes of metric 0. @see linux/ipv6_route.h, IP6_RT_PRIO_USER */
export const IPV6_DEFAULT_METRIC = 1_024;

export interface Difference<T> {
  add: T[];
  remove: T[];
}

/**
 * @param wanted what there should be now
 * @param actual what there is
 * @param installed what we put there before
 * @param key a text that is equal for two items that are the same to the kernel
 */
export function difference<T>(
  wanted: readonly T[],
  actual: readonly T[],
  installed: readonly T[],
  key: (item: T) => string,
): Difference<T> {
  const wantedKeys = new Set(wanted.map(key));
  const actualKeys = new Set(actual.map(key));
  const installedKeys = new Set(installed.map(key));
  return {
    add: wanted.filter((item) => !actualKeys.has(key(item))),
    remove: actual.filter((item) => installedKeys.has(key(item)) && !wantedKeys.has(key(item))),
  };
}

/** Key of an address: what the kernel tells two addresses of a link apart by. */
export const addressKey = ({ address, prefixLength }: PlannedAddress): string => `${address}/${prefixLength}`;

/** Key of a route: where to, how preferred, and which way; not who made it, nor on which interface. */
export function routeKey(route: Route): string {
  const { family, destination, destinationLength, source, sourceLength, tos, properties } = route;
  const metric = family === 6 && route.metric === 0 ? IPV6_DEFAULT_METRIC : route.metric;
  const ways = route.nexthops.map(({ gateway, weight }) => `${gateway}*${weight}`).toSorted();
  const from = sourceLength === 0 ? "" : `${source}/${sourceLength}`;
  return [`${destination}/${destinationLength}`, from, tos, metric, ...ways, JSON.stringify(properties)].join(
    " ",
  );
}
