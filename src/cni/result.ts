/** What ADD prints. */
import { inPrefix, isLinkLocal, parseIp } from "../base/address.ts";
import type { DnsConfig } from "../config/from-cni.ts";
import type { FamilyPlan, NetworkPlan, PlannedAddress } from "../config/network-plan.ts";
import type { Attachment } from "./environment.ts";
import type { CniVersion } from "./versions.ts";

/** @see CNI specification, section "ADD Success" */
export interface AddResult {
  cniVersion: CniVersion;
  interfaces: { name: string; mac: string; sandbox: string; mtu?: number }[];
  /** `interface` is an index of `interfaces`. */
  ips: { address: string; gateway?: string; interface: number }[];
  routes: { dst: string; gw?: string }[];
  dns: DnsConfig;
}

/** @param plan what the container has, with MAC address and MTU */
export function addResult(
  version: CniVersion,
  { ifname, netns }: Attachment,
  plan: NetworkPlan,
  dns: DnsConfig,
): AddResult {
  const families = [plan.ipv4, plan.ipv6].filter((family) => family.enabled);
  return {
    cniVersion: version,
    interfaces: [
      { name: ifname, mac: plan.mac ?? "", sandbox: netns, ...(version === "1.1.0" && { mtu: plan.mtu }) },
    ],
    ips: families.flatMap((family) => family.addresses.map((address) => ip(address, family))),
    routes: families.flatMap(({ routes }) =>
      routes.map(({ destination, destinationLength, nexthops: [nexthop] }) => ({
        dst: `${destination}/${destinationLength}`,
        ...(nexthop.gateway !== "" && { gw: nexthop.gateway }),
      })),
    ),
    dns,
  };
}

function ip(planned: PlannedAddress, { gateway, addresses }: FamilyPlan): AddResult["ips"][number] {
  const isGatewayFor = gateway !== undefined && (addresses.length === 1 || isReached(gateway, planned));
  return {
    address: `${planned.address}/${planned.prefixLength}`,
    ...(isGatewayFor && { gateway }),
    interface: 0,
  };
}

/** Tells whether the gateway is in the subnet of an address, or on every link. */
function isReached(gateway: string, { address, prefixLength }: PlannedAddress): boolean {
  const words = parseIp(gateway);
  const subnet = parseIp(address);
  if (words === undefined || subnet === undefined) return false;
  return isLinkLocal(words) || inPrefix(words, subnet, prefixLength);
}
