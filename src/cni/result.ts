/**
 * What ADD comes to, in the form of the newest specification; format-result.ts and parse-result.ts know the others.
 * @see CNI specification 1.1.0, section "ADD Success"
 */
import { inPrefix, isLinkLocal, parseIp } from "../base/address.ts";
import { MAIN_TABLE, PathProperty, type Route } from "../base/network.ts";
import type { DnsConfig } from "../config/cni-config.ts";
import type { FamilyPlan, NetworkPlan, PlannedAddress } from "../config/network-plan.ts";
import { IPV6_DEFAULT_METRIC } from "../config/reconcile.ts";
import type { Attachment } from "./environment.ts";

export interface CniInterface {
  name: string;
  mac?: string;
  /** Bytes. */
  mtu?: number;
  /** The network namespace as the runtime names it; absent or empty for an interface of the host. */
  sandbox?: string;
  socketPath?: string;
  pciID?: string;
}

export interface CniIp {
  /** "address/length" */
  address: string;
  gateway?: string;
  /** Index of `interfaces`. */
  interface?: number;
}

export interface CniRoute {
  /** "address/length" */
  dst: string;
  gw?: string;
  /** Bytes. */
  mtu?: number;
  /** Bytes. */
  advmss?: number;
  /** Lower is preferred. */
  priority?: number;
  table?: number;
  scope?: number;
}

export interface CniResult {
  interfaces: CniInterface[];
  ips: CniIp[];
  routes: CniRoute[];
  dns: DnsConfig;
}

/** What the container has got from us. @param plan with MAC address and MTU */
export function addResult(
  { ifname, netns }: Pick<Attachment, "ifname" | "netns">,
  plan: NetworkPlan,
  dns: DnsConfig,
): CniResult {
  const families = [plan.ipv4, plan.ipv6].filter((family) => family.enabled);
  return {
    interfaces: [{ name: ifname, mac: plan.mac ?? "", mtu: plan.mtu, sandbox: netns }],
    ips: families.flatMap((family) => family.addresses.map((address) => ip(address, family))),
    routes: families.flatMap((family) => family.routes.map(cniRoute)),
    dns,
  };
}

function ip(planned: PlannedAddress, { gateway, addresses }: FamilyPlan): CniIp {
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

/** Leaves out what is the default: a metric of the kernel's choice, and the scope that follows from the gateway. */
function cniRoute(route: Route): CniRoute {
  const { family, destination, destinationLength, nexthops, metric, table, properties } = route;
  const mtu = properties[PathProperty.Mtu];
  const advmss = properties[PathProperty.AdvertisedMss];
  const [{ gateway }] = nexthops;
  return {
    dst: `${destination}/${destinationLength}`,
    ...(gateway !== "" && { gw: gateway }),
    ...(mtu !== undefined && { mtu }),
    ...(advmss !== undefined && { advmss }),
    ...(metric !== 0 && !(family === 6 && metric === IPV6_DEFAULT_METRIC) && { priority: metric }),
    ...(table !== MAIN_TABLE && { table }),
  };
}

/** Our result behind that of the plugins before us, whose indexes of interfaces stay what they are. */
export function mergeResults(previous: CniResult, ours: CniResult): CniResult {
  const first = previous.interfaces.length;
  const ips = ours.ips.map((each) => ({ ...each, interface: first + (each.interface ?? 0) }));
  return {
    interfaces: [...previous.interfaces, ...ours.interfaces],
    ips: [...previous.ips, ...ips],
    routes: [...previous.routes, ...ours.routes],
    dns: Object.keys(previous.dns).length > 0 ? previous.dns : ours.dns,
  };
}
