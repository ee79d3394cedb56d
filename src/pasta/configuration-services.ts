/** What tells the namespace how to configure itself: router advertisements and DHCP, and what they say. */
import { usage } from "../config/command-line.ts";
import { readValue } from "../config/from-cli.ts";
import type { NetworkOptions } from "../config/options.ts";
import { domainName, hostAddress } from "../config/values.ts";

type ConfigurationServices = Required<Pick<NetworkOptions, "routerAdvertisements" | "dhcp" | "advertise">>;
type Values = ReadonlyMap<string, readonly string[]>;

/** What rules each of them out. */
const NO_ROUTER = ["config-net", "no-ra", "no-ndp", "no-icmp", "ipv4-only", "splice-only"];
const NO_DHCP4 = ["no-dhcp", "ipv6-only", "splice-only"];
const NO_DHCP6 = ["no-dhcpv6", "ipv4-only", "splice-only"];

/**
 * Names and addresses of resolvers are told only when that is asked for. Throws USAGE.
 * @param values of each option, in their order
 */
export function configurationServices(values: Values, warnings: string[]): ConfigurationServices {
  const isOn = (obstacles: readonly string[]): boolean => !obstacles.some((name) => values.has(name));
  const routerAdvertisements = isOn(NO_ROUTER);
  const dhcp = { ipv4: isOn(NO_DHCP4), ipv6: isOn(NO_DHCP6) };
  const hasDhcp = dhcp.ipv4 || dhcp.ipv6;
  const dns = wants("dns", values, routerAdvertisements || hasDhcp, warnings);
  const search = wants("search", values, routerAdvertisements || hasDhcp, warnings);
  if (values.has("fqdn") && !hasDhcp) throw usage("--fqdn is for DHCP clients, and there is no DHCP server");
  const resolvers = (values.get("dns") ?? []).map((text) => readValue("dns", text, hostAddress));
  const domains = (values.get("search") ?? [])
    .flatMap((text) => text.split(/\s+/))
    .filter((name) => name !== "")
    .map((name) => readValue("search", name, domainName));
  const [hostname, fqdn] = ["hostname", "fqdn"].map((option) => {
    const name = values.get(option)?.at(-1);
    return name === undefined ? undefined : readValue(option, name, domainName);
  });
  return {
    routerAdvertisements,
    dhcp,
    advertise: {
      ...((!dns || resolvers.length > 0) && { resolvers: dns ? resolvers : [] }),
      ...((!search || domains.length > 0) && { searchDomains: search ? domains : [] }),
      ...(hostname !== undefined && { hostname }),
      ...(fqdn !== undefined && { fqdn }),
    },
  };
}

function wants(what: "dns" | "search", values: Values, isPossible: boolean, warnings: string[]): boolean {
  const isWanted = values.has(`dhcp-${what}`) && !values.has(`no-dhcp-${what}`);
  if (isWanted && !isPossible) {
    throw usage(`--dhcp-${what} needs DHCP or router advertisements, and all of them are switched off`);
  }
  if (!isWanted && values.has(what)) warnings.push(`--${what} has no effect without --dhcp-${what}`);
  return isWanted;
}
