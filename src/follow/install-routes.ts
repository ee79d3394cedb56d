/** Gives the container's link routes, in whatever order they depend on each other. */
import { constants } from "node:os";
import { SysError } from "../base/errors.ts";
import { OUR_PROTOCOL, type Route } from "../base/network.ts";
import type { Netlink } from "../kernel/netlink.ts";
import { addRoute, changeRoute } from "../kernel/rtnetlink.ts";

const { EEXIST } = constants.errno;

/** A route that the kernel did not take, and why. */
export interface RefusedRoute {
  route: Route;
  reason: string;
}

/**
 * Installs routes; one that is there already counts as installed. A gateway may be reachable only through a route that
 * comes later, so the refused ones are tried again until a round installs nothing. What is refused then has a gateway
 * that was reachable when the host got the route: we answer for it all the same.
 */
export function installRoutes(
  netlink: Netlink,
  { add, replace }: { add: Route[]; replace: Route[] },
  interfaceIndex: number,
): RefusedRoute[] {
  const replaced = new Set(replace);
  const install = (route: Route, onlink = false): RefusedRoute[] => {
    const change = throughLink(route, interfaceIndex, onlink);
    const reason = tryRoute(() => (replaced.has(route) ? changeRoute : addRoute)(netlink, change));
    return reason === undefined ? [] : [{ route, reason }];
  };
  let pending = [...add, ...replace];
  for (;;) {
    const refused = pending.flatMap((route) => install(route));
    if (refused.length === 0) return [];
    if (refused.length === pending.length) return pending.flatMap((route) => install(route, true));
    pending = refused.map(({ route }) => route);
  }
}

/**
 * A route of a plan through the container's link, with our mark.
 * @param onlink whatever the prefixes of the link say of its gateways
 */
const throughLink = (route: Route, interfaceIndex: number, onlink: boolean): Route => ({
  ...route,
  protocol: OUR_PROTOCOL,
  nexthops: route.nexthops.map((nexthop) => ({
    ...nexthop,
    interfaceIndex,
    onlink: nexthop.onlink || (onlink && nexthop.gateway !== ""),
  })),
});

/** Undefined for success. */
function tryRoute(install: () => void): string | undefined {
  try {
    install();
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    return cause.errno === EEXIST ? undefined : cause.message;
  }
  return undefined;
}

/** For people. */
export function describeRoute(route: Route): string {
  const gateways = route.nexthops.map((nexthop) => nexthop.gateway).filter((gateway) => gateway !== "");
  const via = gateways.length === 0 ? "" : ` via ${gateways.join(", ")}`;
  return `${route.destination}/${route.destinationLength}${via}`;
}
