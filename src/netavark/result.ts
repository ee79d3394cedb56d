/** What a plugin prints. @see plugin-API.md of netavark */
import type { NetworkPlan } from "../config/network-plan.ts";

const API_VERSION = "1.0.0";

/** The answer to `info`. */
export const pluginInfo = (version: string): unknown => ({ version, api_version: API_VERSION });

/**
 * The answer to `setup`.
 * @param plan what the container has, with its MAC address
 * @param resolvers those of its resolv.conf
 */
export function statusBlock(interfaceName: string, plan: NetworkPlan, resolvers: readonly string[]): unknown {
  const subnets = [plan.ipv4, plan.ipv6].flatMap(({ addresses, gateway }) =>
    addresses.map(({ address, prefixLength }) => ({
      ipnet: `${address}/${prefixLength}`,
      ...(gateway !== undefined && { gateway }),
    })),
  );
  return {
    dns_server_ips: resolvers,
    dns_search_domains: [],
    interfaces: { [interfaceName]: { mac_address: plan.mac ?? "", subnets } },
  };
}
