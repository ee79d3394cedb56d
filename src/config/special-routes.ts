/** Routes to the addresses that only bucatini knows: the resolver, the host's aliases. */
import { inPrefix, parseIp } from "../base/address.ts";
import type { Family, Route } from "../base/network.ts";
import { isOfFamily } from "./host-template.ts";
import { plannedRoute, type FamilyPlan } from "./network-plan.ts";

/**
 * A route on the link for each address of the family that no route of the plan leads to. A container without a
 * default route reaches them all the same, because we answer for every address on the link.
 */
export function specialRoutes(family: Family, plan: FamilyPlan, addresses: readonly string[]): Route[] {
  const wanted = new Set(addresses.filter((text) => isOfFamily(text, family)));
  return [...wanted].filter((text) => !isReachable(text, plan)).map((text) => linkRoute(family, text));
}

function isReachable(text: string, plan: FamilyPlan): boolean {
  const words = parseIp(text);
  if (words === undefined) return false;
  const prefixes = [
    ...plan.routes.map((route) => ({ base: route.destination, length: route.destinationLength })),
    ...plan.addresses
      .filter((each) => !each.noPrefixRoute)
      .map((each) => ({ base: each.address, length: each.prefixLength })),
  ];
  return prefixes.some(({ base, length }) => inPrefix(words, parseIp(base) ?? words, length));
}

const linkRoute = (family: Family, destination: string): Route =>
  plannedRoute(family, { destination: `${destination}/${family === 4 ? 32 : 128}` });
