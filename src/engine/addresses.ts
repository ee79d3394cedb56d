/** Link and rules of forwarding, as the protocols know them, from options that are text. */
import { IP_WORDS, isIpv4, parseIp, parseMac, type Prefix } from "../base/address.ts";
import { MAIN_TABLE, type Route, RouteType } from "../base/network.ts";
import type { PlannedAddress } from "../config/network-plan.ts";
import type { EngineOptions } from "../config/options.ts";
import { TUN_F_USO4 } from "../ffi/constants.ts";
import type { Address, AddressRules, FamilyRules } from "../forward/address-rules.ts";
import type { Net } from "../proto/net.ts";
import type { FamilyLink, Link, Link4, Route4 } from "../proto/link.ts";

const BROADCAST_MAC = new Uint8Array(6).fill(0xff);

/** @param offloads TUN_F_* bits that the TAP has */
export function buildLink(options: EngineOptions, offloads: number): Link {
  const { plan, advertise } = options;
  const { follow, routerAdvertisements } = options.asked.network;
  return {
    mtu: options.interface.mtu,
    ourMac: parseMac(plan.ourMac) ?? BROADCAST_MAC,
    // Until the container has spoken, every station on the link is meant.
    guestMac: parseMac(plan.mac ?? "") ?? BROADCAST_MAC.slice(),
    v4: buildLink4(options),
    v6: {
      ...buildFamily(options, 6),
      routes: routesToTell(routerAdvertisements, plan.ipv6.routes).map(toPrefix),
    },
    offload: offloads !== 0,
    udpOffload: (offloads & TUN_F_USO4) !== 0,
    follows: follow,
    routerAdvertisements,
    advertise: { ...advertise, resolvers: addresses(advertise.resolvers) },
  };
}

const buildLink4 = (options: EngineOptions): Link4 => ({
  ...buildFamily(options, 4),
  prefixLengths: notDeprecated(options.plan.ipv4.addresses).map(({ prefixLength }) => prefixLength),
  routes: routesToTell(options.asked.network.dhcp.ipv4, options.plan.ipv4.routes).map(toRoute4),
});

/** Routes of the main table that a program can be told: to each destination one. There may be a thousand. */
function routesToTell(isAsked: boolean, routes: readonly Route[]): Route[] {
  if (!isAsked) return [];
  const told = new Map<string, Route>();
  for (const route of routes.toSorted((a, b) => b.metric - a.metric)) {
    const { destination, destinationLength: length, table, type, nexthops } = route;
    if (table !== MAIN_TABLE || type !== RouteType.Unicast || nexthops.length === 0) continue;
    told.set(`${destination}/${length}`, route);
  }
  return [...told.values()];
}

const toPrefix = ({ destination, destinationLength }: Route): Prefix => ({
  address: parseIp(destination) ?? new Uint32Array(IP_WORDS),
  length: destinationLength,
});

/** With its first next hop. */
function toRoute4(route: Route): Route4 {
  const { address: destination, length } = toPrefix(route);
  const gateway = address(route.nexthops[0].gateway);
  // We answer for everybody: what a gateway of the other family leads to can be on the link as well.
  const isGateway4 = gateway !== undefined && isIpv4(gateway);
  return { destination: destination[3], length, gateway: isGateway4 ? gateway[3] : 0 };
}

function buildFamily({ plan, asked }: EngineOptions, version: 4 | 6): FamilyLink {
  const { addressing, dhcp } = asked.network;
  const family = plan[`ipv${version}`];
  return {
    enabled: family.enabled,
    ours: parseIp(family.ours) ?? new Uint32Array(IP_WORDS),
    assigned: addresses(notDeprecated(family.addresses).map((planned) => planned.address)),
    dhcp: dhcp[`ipv${version}`],
    // On a link of its own, nobody is what the host has on its link.
    neighbourhood: addressing === "private" ? 0 : family.hostInterfaceIndex,
  };
}

/** What is good for something new: all, where there is nothing else. */
function notDeprecated(planned: readonly PlannedAddress[]): readonly PlannedAddress[] {
  const preferred = planned.filter(({ deprecated }) => !deprecated);
  return preferred.length > 0 ? preferred : planned;
}

/**
 * Has the protocols work with what holds now. Flows keep what they were made with; what the container was heard from
 * stays, for only its own packets tell that.
 */
export function updateNet(net: Net, options: EngineOptions, offloads: number): void {
  const { guestMac } = net.link;
  Object.assign(net.link, buildLink(options, offloads), { guestMac });
  const rules = buildRules(options, net.link);
  for (const family of ["v4", "v6"] as const) {
    const { seen, seenLinkLocal } = net.rules[family];
    Object.assign(net.rules[family], rules[family], { seen, seenLinkLocal });
  }
  // What is known of resolvers goes with their list (forward/resolvers.ts).
  if (String(rules.dnsServers) !== String(net.rules.dnsServers)) net.rules.dnsServers = rules.dnsServers;
}

export function buildRules({ rules, plan, interface: inside }: EngineOptions, link: Link): AddressRules {
  const family = (version: 4 | 6): FamilyRules => {
    const { ours } = link[`v${version}`];
    const { gateway, pinnedAddresses, hostAddress, addresses: planned } = plan[`ipv${version}`];
    const assigned = addresses(planned.map((each) => each.address));
    return {
      ours,
      gateway: address(gateway),
      assigned,
      seen: Uint32Array.from({ length: IP_WORDS }, (_, i) => assigned[0]?.[i] ?? 0),
      seenLinkLocal: (version === 6 ? address(inside.linkLocal) : undefined) ?? new Uint32Array(IP_WORDS),
      isFixed: pinnedAddresses,
      mapHostLoopback: address(rules[`mapHostLoopback${version}`]),
      hostAddress: address(hostAddress) ?? assigned[0],
      mapGuest: address(rules[`mapGuest${version}`]),
      dnsMatch: address(rules[`dnsMatch${version}`]),
      outbound: address(rules[`outbound${version}`]),
      outboundInterface: rules[`outboundInterface${version}`],
    };
  };
  return {
    v4: family(4),
    v6: family(6),
    dnsServers: addresses(rules.dnsServers),
  };
}

const address = (text: string | undefined): Address | undefined =>
  text === undefined ? undefined : parseIp(text);

const addresses = (texts: readonly string[]): Address[] => texts.flatMap((text) => parseIp(text) ?? []);
