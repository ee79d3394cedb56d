/** Routes as DHCPv4 tells them (RFC 3442). */
import { netmask4 } from "../base/address.ts";
import { concatBytes, wordBytes } from "../wire/dhcp-option.ts";
import type { Link4, Route4 } from "./link.ts";

/**
 * The value of the option, the default route first, then what is on the link; with each route whatever leads to its
 * gateway. Empty where mask and router say it all, for whoever takes this option does not look at the router.
 * @param router what the router option says
 */
export function classlessRoutes(
  { assigned, prefixLengths, routes }: Link4,
  router: Uint32Array | undefined,
): Uint8Array[] {
  const isInPrefix = (address: number, length: number): boolean =>
    assigned.some((own, i) => {
      const mask = netmask4(prefixLengths[i]);
      return length >= prefixLengths[i] && ((own[3] ^ address) & mask) === 0;
    });
  const isClear = ({ destination, length, gateway }: Route4): boolean =>
    gateway === 0
      ? isInPrefix(destination, length)
      : length === 0 && gateway === router?.[3] && isInPrefix(gateway, 32);
  if (routes.every(isClear)) return [];
  const told = new Set<number>();
  return routes
    .toSorted((a, b) => rank(a) - rank(b))
    .map((route) => {
      const { gateway } = route;
      if (gateway === 0 || isInPrefix(gateway, 32) || told.has(gateway)) return routeBytes(route);
      told.add(gateway);
      return concatBytes([routeBytes({ destination: gateway, length: 32, gateway: 0 }), routeBytes(route)]);
    });
}

const rank = ({ length, gateway }: Route4): number => {
  if (length === 0) return 0;
  return gateway === 0 ? 1 : 2;
};

/** The length of the prefix, as much of it as counts, and the gateway. */
const routeBytes = ({ destination, length, gateway }: Route4): Uint8Array =>
  concatBytes([
    Uint8Array.of(length),
    wordBytes([destination]).subarray(0, (length + 7) >> 3),
    wordBytes([gateway]),
  ]);
