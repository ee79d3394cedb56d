/**
 * What the container gets: names, addresses, routes. A plan is plain JSON, made from the host's template and the
 * options; it knows nothing of a kernel. The launcher applies it, the engine is told it.
 */
import { formatIp, inPrefix, isLinkLocal, parseIp, parsePrefix } from "../base/address.ts";
import { AppError } from "../base/errors.ts";
import {
  AddressFlag,
  LinkFlag,
  MAIN_TABLE,
  PathProperty,
  RouteProtocol,
  RouteType,
  Scope,
} from "../base/network.ts";
import type { Family, Route } from "../base/network.ts";
import { isOfFamily } from "./host-template.ts";
import type { FamilyTemplate, Template, TemplateOptions } from "./host-template.ts";
import type { Addressing, Carrier, RouteOptions } from "./options.ts";

/** Our MAC address on the link: locally administered, the same everywhere (as pasta's). */
export const OUR_MAC = "9a:55:9a:55:9a:55";
/** What we play in local mode, and the container's IPv4 address there (RFC 3927; as pasta's). */
export const LOCAL_ADDRESS_4 = "169.254.2.1";
const LOCAL_PREFIX_4 = 16;
export const LOCAL_GATEWAY_4 = "169.254.2.2";
export const LOCAL_GATEWAY_6 = "fe80::1";
/** Largest MTU of the link, in bytes; also the default without a template. */
const LINK_MTU_MAX = 65_520;
/** Below this, a link has no IPv6 (RFC 8200 section 5). */
export const IPV6_MTU_MIN = 1_280;

/** The MTU that a TAP has when nobody sets one, in bytes. */
const TAP_DEFAULT_MTU = 1500;

/** Bytes. */
export const mtuInForce = ({ mtu }: NetworkPlan): number => (mtu === 0 ? TAP_DEFAULT_MTU : mtu);

export interface PlannedAddress {
  address: string;
  prefixLength: number;
  /** The kernel makes no route for the prefix. */
  noPrefixRoute: boolean;
  /** Metric of the route that the kernel makes; 0 is its default. */
  metric: number;
  /** For what uses it already, not for what is new (RFC 4862 section 5.5.4). */
  deprecated: boolean;
}

export interface FamilyPlan {
  enabled: boolean;
  /** The container's addresses of more than link scope, the most important one first. */
  addresses: PlannedAddress[];
  /** The container's interface stands for whichever their next hops name. */
  routes: Route[];
  /** The container's default gateway, when there is one. */
  gateway?: string;
  /** Our address on the link: IPv4 the gateway, IPv6 link-local. */
  ours: string;
  /** The address by which the host is known outside, which the container may have too; absent in local mode. */
  hostAddress?: string;
  /** The addresses were given and stay, whatever happens to the host's. */
  pinnedAddresses: boolean;
  /** The routes were given, or the gateway, and then the default route through it is the only route. */
  pinnedRoutes: boolean;
  /** The template on the host, and the scope of its link-local addresses; empty and 0 in local mode. */
  hostInterface: string;
  hostInterfaceIndex: number;
  /** Why that one, or what is waited for; for people. */
  choice: string;
}

export interface NetworkPlan {
  /** Name of the TAP inside. */
  interfaceName: string;
  /** Bytes; 0 leaves it alone. */
  mtu: number;
  /** The container's MAC address; absent leaves the one the kernel chose. */
  mac?: string;
  ourMac: string;
  /** Whether the container's link shows a carrier. */
  carrier: boolean;
  /** Families that have no template: addresses that mean nothing outside, until the host has a network. */
  localMode: { ipv4: boolean; ipv6: boolean };
  ipv4: FamilyPlan;
  ipv6: FamilyPlan;
}

export interface PlanOptions extends TemplateOptions {
  gateways: readonly string[];
  /** A family that has one gets these routes and no others. */
  routes?: readonly RouteOptions[];
  /** Bytes; 0 leaves it alone; absent follows the template. */
  mtu?: number;
  mac?: string;
  ourMac?: string;
  /** Name of the TAP inside; absent: the template's. */
  interfaceName?: string;
  addressing?: Addressing;
  carrier?: Carrier;
}

export function planNetwork(template: Template, options: PlanOptions): NetworkPlan {
  const templates = [template.ipv4, template.ipv6].filter((each) => each !== undefined);
  const mtu = Math.min(options.mtu ?? Math.min(...templates.map(({ link }) => link.mtu)), LINK_MTU_MAX);
  const ipv6Enabled = options.ipv6 && template.ipv6Available && (mtu === 0 || mtu >= IPV6_MTU_MIN);
  const ipv4 = planFamily(4, options.ipv4, template.ipv4, template.choice4, options);
  const ipv6 = planFamily(6, ipv6Enabled, template.ipv6, template.choice6, options);
  return {
    interfaceName: options.interfaceName ?? templates[0]?.link.name ?? "tap0",
    mtu,
    ...(options.mac !== undefined && { mac: options.mac }),
    ourMac: options.ourMac ?? OUR_MAC,
    carrier: options.carrier !== "follow" || templates.some(hasCarrier),
    localMode: {
      ipv4: ipv4.enabled && template.ipv4 === undefined,
      ipv6: ipv6.enabled && template.ipv6 === undefined,
    },
    ipv4,
    ipv6,
  };
}

const hasCarrier = ({ link }: FamilyTemplate): boolean => (link.flags & LinkFlag.LowerUp) !== 0;

function planFamily(
  family: Family,
  enabled: boolean,
  template: FamilyTemplate | undefined,
  choice: string,
  options: PlanOptions,
): FamilyPlan {
  const given = options.addresses.filter((text) => isOfFamily(text.split("/")[0], family));
  const givenGateway = options.gateways.find((text) => isOfFamily(text, family));
  const givenRoutes = (options.routes ?? []).filter(({ destination }) =>
    isOfFamily(destination.split("/")[0], family),
  );
  const addresses = given.length > 0 ? given.map(parseAddress) : templateAddresses(family, template);
  const isPinned = givenGateway !== undefined || givenRoutes.length > 0;
  const ownGateway = template === undefined ? localGateway(family) : template.gateway;
  const gateway = isPinned ? givenGateway : ownGateway;
  const copied = isPinned || template === undefined ? undefined : [...template.routes];
  const routes =
    copied ??
    (givenRoutes.length > 0 ? givenRoutes : defaultRoute(family, gateway)).map((route) =>
      plannedRoute(family, route, addresses),
    );
  return {
    enabled,
    addresses: enabled ? addresses : [],
    routes: enabled ? routes : [],
    ...(enabled && gateway !== undefined && { gateway }),
    ours: ourAddress(family, gateway, options.addressing === "private" ? undefined : template),
    ...(template?.addresses[0] !== undefined && { hostAddress: template.addresses[0].address }),
    pinnedAddresses: given.length > 0,
    pinnedRoutes: isPinned,
    hostInterface: template?.link.name ?? "",
    hostInterfaceIndex: template?.link.index ?? 0,
    choice,
  };
}

function templateAddresses(family: Family, template: FamilyTemplate | undefined): PlannedAddress[] {
  if (template !== undefined) {
    return template.addresses.map(({ address, prefixLength, flags, metric }) => ({
      address,
      prefixLength,
      noPrefixRoute: (flags & AddressFlag.NoPrefixRoute) !== 0,
      metric,
      deprecated: (flags & AddressFlag.Deprecated) !== 0,
    }));
  }
  return family === 6 ? [] : [planned(LOCAL_ADDRESS_4, LOCAL_PREFIX_4)];
}

const planned = (address: string, prefixLength: number): PlannedAddress => ({
  address,
  prefixLength,
  noPrefixRoute: false,
  metric: 0,
  deprecated: false,
});

/** "address" or "address/length". Without a length: 64 for IPv6, that of the address class for IPv4. */
function parseAddress(text: string): PlannedAddress {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return planned(formatIp(prefix.address), prefix.length);
  const words = parseIp(text);
  if (words === undefined) throw new AppError("USAGE", `${text} is not an IP address: write 192.0.2.1/24`);
  const canonical = formatIp(words);
  return planned(canonical, canonical.includes(":") ? 64 : classLength(words[3]));
}

/** Prefix length of the classes A, B and C; 32 for the others. */
function classLength(address: number): number {
  const first = address >>> 24;
  if (first < 128) return 8;
  if (first < 192) return 16;
  return first < 224 ? 24 : 32;
}

const localGateway = (family: Family): string => (family === 4 ? LOCAL_GATEWAY_4 : LOCAL_GATEWAY_6);

/** IPv4 without a gateway still needs a source for what we say ourselves. */
function ourAddress(
  family: Family,
  gateway: string | undefined,
  template: FamilyTemplate | undefined,
): string {
  if (family === 4) return gateway ?? LOCAL_GATEWAY_4;
  const words = gateway === undefined ? undefined : parseIp(gateway);
  if (gateway !== undefined && words !== undefined && isLinkLocal(words)) return gateway;
  return template?.linkLocal ?? LOCAL_GATEWAY_6;
}

const defaultRoute = (family: Family, gateway: string | undefined): RouteOptions[] =>
  gateway === undefined ? [] : [{ destination: family === 4 ? "0.0.0.0/0" : "::/0", gateway }];

/**
 * A route through the container's interface. The gateway counts as on the link, wherever it is: there is nobody else.
 * @param addresses those of the interface
 */
export function plannedRoute(
  family: Family,
  asked: RouteOptions,
  addresses: readonly PlannedAddress[] = [],
): Route {
  const { gateway = "", mtu, advertisedMss } = asked;
  const [destination, length] = asked.destination.split("/");
  return {
    family,
    destination,
    destinationLength: Number(length),
    source: family === 4 ? "0.0.0.0" : "::",
    sourceLength: 0,
    table: asked.table ?? MAIN_TABLE,
    protocol: RouteProtocol.Boot,
    scope: asked.scope ?? (gateway === "" && family === 4 ? Scope.Link : Scope.Universe),
    type: RouteType.Unicast,
    tos: 0,
    metric: asked.metric ?? 0,
    preference: 0,
    properties: {
      ...(mtu !== undefined && { [PathProperty.Mtu]: mtu }),
      ...(advertisedMss !== undefined && { [PathProperty.AdvertisedMss]: advertisedMss }),
    },
    nexthops: [
      {
        interfaceIndex: 0,
        gateway,
        weight: 1,
        onlink: gateway !== "" && !isReachable(family, gateway, addresses),
      },
    ],
  };
}

function isReachable(family: Family, gateway: string, addresses: readonly PlannedAddress[]): boolean {
  const words = parseIp(gateway);
  if (words === undefined) return false;
  return (
    (family === 6 && isLinkLocal(words)) ||
    addresses.some((each) => inPrefix(words, parseIp(each.address) ?? words, each.prefixLength))
  );
}
