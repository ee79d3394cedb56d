/** Results in the words of every version of the specification. */
import { ConfigError } from "../config/config-error.ts";
import type { CniResult, CniRoute } from "./result.ts";
import { type CniVersion, isAtLeast } from "./versions.ts";

type Values = Readonly<Record<string, unknown>>;

/** What is printed. Throws ConfigError when the version cannot say it. */
export function formatResult(result: CniResult, version: CniVersion): Values {
  if (!isAtLeast(version, "0.3.0")) return byFamily(result, version);
  const { interfaces, ips, routes, dns } = result;
  if (isAtLeast(version, "1.1.0")) return { cniVersion: version, interfaces, ips, routes, dns };
  return {
    cniVersion: version,
    interfaces: interfaces.map(({ name, mac, sandbox }) => ({ name, mac, sandbox })),
    ips: isAtLeast(version, "1.0.0") ? ips : ips.map((ip) => ({ version: familyOf(ip.address), ...ip })),
    routes: routes.map(destinationAndGateway),
    dns,
  };
}

const destinationAndGateway = ({ dst, gw }: CniRoute): CniRoute => ({ dst, ...(gw !== undefined && { gw }) });

const familyOf = (text: string): "4" | "6" => (text.includes(":") ? "6" : "4");

/** Until 0.2.0 there is one address of each family, and no interface. */
function byFamily({ ips, routes, dns }: CniResult, version: CniVersion): Values {
  if (ips.length === 0) {
    throw new ConfigError(
      "/cniVersion",
      `is ${version}, which needs an address in the result; take 0.3.0 or newer`,
    );
  }
  const families = (["4", "6"] as const).flatMap((family) => {
    const first = ips.find(({ address }) => familyOf(address) === family);
    if (first === undefined) return [];
    const { address, gateway } = first;
    const own = routes.filter(({ dst }) => familyOf(dst) === family).map(destinationAndGateway);
    const said = { ip: address, ...(gateway !== undefined && { gateway }), routes: own };
    return [[`ip${family}`, said] as const];
  });
  return { cniVersion: version, ...Object.fromEntries(families), dns };
}
