/** Compares what a container should have with what it has. */
import { formatMac, parseMac } from "../base/address.ts";
import type { ContainerNetwork } from "../config/control-types.ts";
import type { Attachment } from "./environment.ts";
import type { CniResult } from "./result.ts";

/**
 * What is missing, one clause each. Others may have added more, and what they took away again is not in the result.
 * @param result that of all plugins
 */
export function missingParts(
  { ifname, netns }: Pick<Attachment, "ifname" | "netns">,
  result: CniResult,
  actual: ContainerNetwork,
): string[] {
  const index = result.interfaces.findIndex(({ name, sandbox }) => name === ifname && sandbox === netns);
  if (index < 0) return [`the result has no interface ${ifname} in ${netns}`];
  const wanted = result.interfaces[index];
  const link = actual.interface;
  if (link === undefined || link.name !== ifname) return [`the interface ${ifname} is gone`];
  const missing: string[] = [];
  if (!link.isUp) missing.push(`the interface ${ifname} is down`);
  if (wanted.mac !== undefined && !isSameMac(wanted.mac, link.mac)) {
    missing.push(`its MAC address is ${link.mac} and not ${wanted.mac}`);
  }
  for (const { address, interface: of } of result.ips) {
    if (of === index && !actual.addresses.includes(address)) missing.push(`the address ${address} is gone`);
  }
  for (const { dst, gw, table } of result.routes) {
    if (table !== undefined) continue;
    const isThere = actual.routes.some(
      ({ destination, gateway }) => destination === dst && (gw === undefined || gateway === gw),
    );
    if (!isThere) missing.push(`the route to ${dst}${gw === undefined ? "" : ` via ${gw}`} is gone`);
  }
  return missing;
}

function isSameMac(a: string, b: string): boolean {
  const [first, second] = [parseMac(a), parseMac(b)];
  return first !== undefined && second !== undefined && formatMac(first) === formatMac(second);
}
