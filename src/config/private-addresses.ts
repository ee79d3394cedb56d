/**
 * Addresses for a container that is not to share those of its host (`addressing: "private"`). They are chosen once,
 * before the container has any, and from then on are like addresses that were given: whatever the host does, they stay.
 */
import { formatIp, inPrefix, ipv4Words, parsePrefix, type Prefix } from "../base/address.ts";
import type { Family } from "../base/network.ts";
import { type HostNetwork, ofFamily } from "./host-template.ts";
import type { NetworkOptions } from "./options.ts";

/** Ranges that nobody owns, the rarest in use first: RFC 1918, RFC 6598, RFC 2544. Third byte and host are ours. */
const IPV4_BASES = [0x0a_c6_00_00, 0xac_1b_00_00, 0xc0_a8_00_00, 0x64_62_00_00, 0xc6_12_00_00];
const IPV4_FIRST_SUBNET = 117;
const IPV4_LENGTH = 24;
/** A unique local prefix (RFC 4193), of which the resolver's address is in another subnet. */
const IPV6_BASE = [0xfd62_7563, 0x6174_0000];
const IPV6_LENGTH = 64;
/** How many subnets are tried in each range: containers may be nested. */
const SUBNETS = 16;

/** Within a subnet. */
const GATEWAY = 1;
const CONTAINER = 2;

/**
 * The options with addresses and gateways for families that have none given. The same host gives the same ones.
 * @param host with the routes of all tables
 */
export function withPrivateAddresses(network: NetworkOptions, host: HostNetwork): NetworkOptions {
  const addresses = [...network.addresses];
  const gateways = [...network.gateways];
  for (const family of [4, 6] as const) {
    if (!network[`ipv${family}`]) continue;
    const { address, length } = freeSubnet(family, host);
    const isGiven = (texts: readonly string[]): boolean => ofFamily(texts, family === 6) !== undefined;
    const routes = (network.routes ?? []).map(({ destination }) => destination);
    if (!isGiven(addresses)) addresses.push(`${hostOf(address, CONTAINER)}/${length}`);
    if (!isGiven(gateways) && !isGiven(routes)) gateways.push(hostOf(address, GATEWAY));
  }
  return { ...network, addresses, gateways };
}

const hostOf = (subnet: Uint32Array, host: number): string =>
  formatIp(Uint32Array.of(subnet[0], subnet[1], subnet[2], subnet[3] + host));

/**
 * The first subnet that the host reaches by its default route alone; where there is none, the first of those that only
 * the widest other routes lead to.
 */
function freeSubnet(family: Family, host: HostNetwork): Prefix {
  const taken = [
    ...host.addresses.map((each) => `${each.address}/${each.prefixLength}`),
    ...host.routes.map((each) => `${each.destination}/${each.destinationLength}`),
  ].flatMap((text) => parsePrefix(text) ?? []);
  const subnets = family === 4 ? ipv4Subnets() : ipv6Subnets();
  const nearest = (subnet: Prefix): number =>
    Math.max(0, ...taken.filter((each) => overlap(each, subnet)).map(({ length }) => length));
  return subnets.reduce((best, subnet) => (nearest(subnet) < nearest(best) ? subnet : best));
}

const overlap = (a: Prefix, b: Prefix): boolean =>
  a.length < b.length ? inPrefix(b.address, a.address, a.length) : inPrefix(a.address, b.address, b.length);

const ipv4Subnets = (): Prefix[] =>
  IPV4_BASES.flatMap((base) =>
    Array.from({ length: SUBNETS }, (_, i) => ({
      address: ipv4Words(base + ((IPV4_FIRST_SUBNET + i) << 8)),
      length: IPV4_LENGTH,
    })),
  );

const ipv6Subnets = (): Prefix[] =>
  Array.from({ length: SUBNETS }, (_, i) => ({
    address: Uint32Array.of(IPV6_BASE[0], IPV6_BASE[1] + 1 + i, 0, 0),
    length: IPV6_LENGTH,
  }));
