/**
 * Chooses, for each address family, the interface of the host whose addresses and routes the container gets.
 * Pure: works on tables that were read elsewhere, at start and whenever they change.
 */
import { isIpv4, isLinkLocal, parseIp } from "../base/address.ts";
import { AddressFlag, isDefaultRoute, LinkFlag, MAIN_TABLE, RouteType, Scope } from "../base/network.ts";
import type { Family, NetworkAddress, NetworkLink, Nexthop, Route } from "../base/network.ts";

/** What matters of the host's tables. */
export interface HostNetwork {
  links: readonly NetworkLink[];
  addresses: readonly NetworkAddress[];
  /** At least the main table. */
  routes: readonly Route[];
  /** Whether the kernel has IPv6 at all. */
  ipv6Available: boolean;
}

export interface FamilyTemplate {
  link: NetworkLink;
  /** Usable ones of more than link scope, the longest prefix first; those that are deprecated last. */
  addresses: NetworkAddress[];
  /** IPv6 only. */
  linkLocal?: string;
  /** Unicast routes of the main table that leave through this interface; of several next hops, those that do. */
  routes: Route[];
  /** Next hop of the preferred default route, when it has one of its own family. */
  gateway?: string;
}

/** A family without a template is absent. */
export interface Template {
  ipv4?: FamilyTemplate;
  ipv6?: FamilyTemplate;
  /** Why these, or what is waited for; for people. */
  choice4: string;
  choice6: string;
  ipv6Available: boolean;
}

export interface TemplateOptions {
  ipv4: boolean;
  ipv6: boolean;
  /** "address" or "address/length"; a family that has one needs no address on the host. */
  addresses: readonly string[];
  /** Interface of the host; undefined chooses by routes. */
  template?: string;
  /** Templates of the families when `template` is absent: what connections outside are bound to. */
  outboundInterface4?: string;
  outboundInterface6?: string;
}

/** A host that is a router has more routes than a container needs; those on the link always travel. */
const MAX_GATEWAY_ROUTES = 1_000;

/** A host that has nothing to offer yet is an ordinary state: the family is absent until it has. */
export function chooseTemplate(host: HostNetwork, options: TemplateOptions): Template {
  const template = { ...NO_TEMPLATE, ipv6Available: host.ipv6Available };
  for (const family of FAMILIES) {
    if (!options[`ipv${family}`] || (family === 6 && !host.ipv6Available)) continue;
    const name = options.template ?? options[`outboundInterface${family}`];
    const candidates = name === undefined ? candidateLinks(host, family) : linksNamed(host, name);
    const pinned = ofFamily(options.addresses, family === 6) !== undefined;
    const link = candidates.find(({ index }) => pinned || usableAddresses(host, family, index).length > 0);
    if (link !== undefined) template[`ipv${family}`] = familyTemplate(host, family, link);
    template[`choice${family}`] = describeChoice(name, template[`ipv${family}`]);
  }
  return template;
}

const FAMILIES = [4, 6] as const;
const OFF = "the family is off";

/** What a host without any network gives. */
export const NO_TEMPLATE: Template = { choice4: OFF, choice6: OFF, ipv6Available: true };

function describeChoice(name: string | undefined, template: FamilyTemplate | undefined): string {
  if (template === undefined && name !== undefined) return `waiting for ${name} to have an address`;
  if (template === undefined) return "waiting for an interface with a route and an address";
  if (name !== undefined) return "it was named";
  return template.routes.some(isDefaultRoute) ? "it has the default route" : "it has a route";
}

const linksNamed = (host: HostNetwork, name: string): NetworkLink[] =>
  host.links.filter((link) => link.name === name);

/** Interfaces with a default route, the preferred one first; then those with any other route. */
function candidateLinks(host: HostNetwork, family: Family): NetworkLink[] {
  const routes = mainRoutes(host, family);
  const defaults = routes.filter(isDefaultRoute).toSorted((a, b) => a.metric - b.metric);
  const indexes = new Set(defaults.map(firstLink));
  for (const route of routes)
    if (!indexes.has(firstLink(route)) && !isToLinkLocal(route)) indexes.add(firstLink(route));
  return [...indexes].flatMap(
    (index) => host.links.find((link) => link.index === index && !isLoopbackLink(link)) ?? [],
  );
}

const firstLink = ({ nexthops }: Route): number => nexthops[0].interfaceIndex;

function familyTemplate(host: HostNetwork, family: Family, link: NetworkLink): FamilyTemplate {
  const routes = mainRoutes(host, family)
    // Every link has that of IPv6 by itself.
    .filter((route) => !(family === 6 && isToLinkLocal(route)))
    .flatMap((route) => partThrough(link, route) ?? []);
  const gateway = gatewayOf(routes, family);
  const linkLocal = host.addresses.find(
    (address) => isOn(address, family, link.index) && address.scope === Scope.Link,
  );
  return {
    link,
    addresses: usableAddresses(host, family, link.index),
    ...(family === 6 && linkLocal !== undefined && { linkLocal: linkLocal.address }),
    routes: withinLimit(routes),
    ...(gateway !== undefined && { gateway }),
  };
}

/** What of a route leads through a link: some of its next hops; of which one alone has no weight. */
function partThrough(link: NetworkLink, route: Route): Route | undefined {
  const nexthops = route.nexthops.filter(({ interfaceIndex }) => interfaceIndex === link.index);
  if (nexthops.length === 0) return undefined;
  if (nexthops.length === route.nexthops.length) return route;
  return { ...route, nexthops: nexthops.length > 1 ? nexthops : [{ ...nexthops[0], weight: 1 }] };
}

function usableAddresses(host: HostNetwork, family: Family, index: number): NetworkAddress[] {
  return host.addresses
    .filter(
      (each) => isOn(each, family, index) && each.scope < Scope.Link && !has(each, AddressFlag.DadFailed),
    )
    .toSorted(
      (a, b) =>
        Number(has(a, AddressFlag.Deprecated)) - Number(has(b, AddressFlag.Deprecated)) ||
        b.prefixLength - a.prefixLength,
    );
}

const has = ({ flags }: NetworkAddress, flag: number): boolean => (flags & flag) !== 0;

const isOn = (address: NetworkAddress, family: Family, index: number): boolean =>
  address.family === family && address.interfaceIndex === index;

function mainRoutes(host: HostNetwork, family: Family): Route[] {
  return host.routes.filter(
    (route) =>
      route.family === family &&
      route.table === MAIN_TABLE &&
      route.type === RouteType.Unicast &&
      route.nexthops.length > 0,
  );
}

/** Of the preferred default route: the next hop with the greatest weight, the last one among equals. */
export function gatewayOf(routes: readonly Route[], family: Family): string | undefined {
  const [route] = routes.filter(isDefaultRoute).toSorted((a, b) => a.metric - b.metric);
  const best = route?.nexthops.reduce((a: Nexthop, b: Nexthop) => (b.weight >= a.weight ? b : a));
  return best !== undefined && isOfFamily(best.gateway, family) ? best.gateway : undefined;
}

function withinLimit(routes: Route[]): Route[] {
  if (routes.length <= MAX_GATEWAY_ROUTES) return routes;
  let room = MAX_GATEWAY_ROUTES;
  return routes.filter((route) => isDefaultRoute(route) || isOnLink(route) || room-- > 0);
}

const isOnLink = (route: Route): boolean => route.nexthops.every((nexthop) => nexthop.gateway === "");

const isLoopbackLink = (link: NetworkLink): boolean => (link.flags & LinkFlag.Loopback) !== 0;

function isToLinkLocal(route: Route): boolean {
  const words = parseIp(route.destination);
  return (
    words !== undefined && isLinkLocal(words) && route.destinationLength >= (route.family === 4 ? 16 : 10)
  );
}

/** Tells whether text is an IP address of this family. */
export function isOfFamily(text: string, family: Family): boolean {
  const words = parseIp(text);
  return words !== undefined && isIpv4(words) === (family === 4);
}

/** The first address of a family among texts that may carry a length. */
export const ofFamily = (texts: readonly string[], v6: boolean): string | undefined =>
  texts.find((text) => isOfFamily(text.split("/", 1)[0], v6 ? 6 : 4));
