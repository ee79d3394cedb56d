/** What an IPAM plugin gives, as options of the container's network. */
import { formatIp, networkOf, parsePrefix } from "../base/address.ts";
import { Scope } from "../base/network.ts";
import type { NetworkOptions, RouteOptions } from "../config/options.ts";
import { CniCode, CniError } from "./errors.ts";
import type { CniIp, CniResult, CniRoute } from "./result.ts";

const isIpv6 = (text: string): boolean => text.includes(":");

/**
 * The container has the addresses of the result and no others; a family without one is off. Its routes are those of
 * the result; a family without any has a default route through its gateway. Throws CniError.
 */
export function withIpam(network: NetworkOptions, { ips, routes }: CniResult): NetworkOptions {
  const wanted = ips.filter(({ address }) => (isIpv6(address) ? network.ipv6 : network.ipv4));
  if (wanted.length === 0) {
    throw new CniError(
      CniCode.InvalidConfiguration,
      "invalid network configuration",
      "/ipam gives no address of a family that is on",
    );
  }
  const families = { ipv4: false, ipv6: false };
  for (const { address } of wanted) families[isIpv6(address) ? "ipv6" : "ipv4"] = true;
  const usable = routes.filter(({ dst }) => (isIpv6(dst) ? families.ipv6 : families.ipv4));
  const gateways = [false, true].flatMap((v6) => gatewayOf(v6, wanted, usable) ?? []);
  return {
    ...network,
    ...families,
    addresses: wanted.map(({ address }) => address),
    gateways,
    routes: usable.map((route) => routeOptions(route, gateways)),
  };
}

/** That of the first address which has one, else that of the default route. */
function gatewayOf(v6: boolean, ips: readonly CniIp[], routes: readonly CniRoute[]): string | undefined {
  const own = ips.find(({ address, gateway }) => gateway !== undefined && isIpv6(address) === v6);
  const byDefault = routes.find(({ dst, gw }) => gw !== undefined && dst === (v6 ? "::/0" : "0.0.0.0/0"));
  return own?.gateway ?? byDefault?.gw;
}

function routeOptions({ dst, gw, ...route }: CniRoute, gateways: readonly string[]): RouteOptions {
  const ofFamily = gateways.find((text) => isIpv6(text) === isIpv6(dst));
  const gateway = gw ?? (route.scope === Scope.Link ? undefined : ofFamily);
  const { mtu, advmss, priority, table, scope } = route;
  return {
    destination: networkPrefix(dst),
    ...(gateway !== undefined && { gateway }),
    ...(mtu !== undefined && { mtu }),
    ...(advmss !== undefined && { advertisedMss: advmss }),
    ...(priority !== undefined && { metric: priority }),
    ...(table !== undefined && { table }),
    ...(scope !== undefined && { scope }),
  };
}

/** A kernel takes no route whose destination has bits behind the prefix. */
function networkPrefix(text: string): string {
  const { address, length } = parsePrefix(text)!;
  return `${formatIp(networkOf(address, length))}/${length}`;
}
