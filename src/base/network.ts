/**
 * Links, addresses and routes as plain values that survive JSON. The vocabulary and the numbers are those of
 * rtnetlink(7); IP addresses are canonical text (RFC 5952), so that they compare with `===`.
 */

export type Family = 4 | 6;

export interface NetworkLink {
  index: number;
  name: string;
  /** "aa:bb:cc:dd:ee:ff", or empty for links without a MAC address. */
  mac: string;
  /** Bytes. */
  mtu: number;
  /** IFF_* */
  flags: number;
  /** Whether it can have IPv6 addresses: not where that is switched off (sysctl), nor with a small MTU. */
  hasIpv6: boolean;
}

export interface NetworkAddress {
  interfaceIndex: number;
  family: Family;
  /** The interface's own address, never the peer's on a point-to-point link. */
  address: string;
  /** 32 or 128 on a point-to-point link, whose peer is reached by a route. */
  prefixLength: number;
  /** Scope.* */
  scope: number;
  /** AddressFlag.* */
  flags: number;
  /** Metric of the route that the kernel makes for the prefix; 0 is its default. */
  metric: number;
  /** Who made it (IFA_PROTO): OUR_PROTOCOL and others; 0 where that is not known. */
  protocol: number;
}

export interface Nexthop {
  /** In a plan it means nothing: the container's interface is meant. */
  interfaceIndex: number;
  /** Empty for what is on the link itself; may be IPv6 for an IPv4 route. */
  gateway: string;
  /** Share among several next hops, 1 to 256. */
  weight: number;
  /** The gateway is on the link although no prefix says so. */
  onlink: boolean;
}

export interface Route {
  family: Family;
  /** "0.0.0.0" or "::" with length 0 for the default route. */
  destination: string;
  destinationLength: number;
  /** Source prefix that the route is for (IPv6 only); length 0 for any. */
  source: string;
  sourceLength: number;
  table: number;
  /** Who made it: RouteProtocol.* and others. */
  protocol: number;
  scope: number;
  /** RouteType.* */
  type: number;
  tos: number;
  /** Lower is preferred; 0 is the kernel's default. */
  metric: number;
  /** Router preference of RFC 4191 as the kernel encodes it (IPv6 only), 0 for medium. */
  preference: number;
  /** Path properties by RTAX_* number. */
  properties: Record<number, number>;
  nexthops: Nexthop[];
}

/** @see linux/rtnetlink.h, enum rt_scope_t */
export const Scope = { Universe: 0, Link: 253, Host: 254 } as const;
/** @see linux/if_addr.h */
export const AddressFlag = {
  Temporary: 0x01,
  NoDad: 0x02,
  DadFailed: 0x08,
  Deprecated: 0x20,
  Tentative: 0x40,
  NoPrefixRoute: 0x200,
} as const;
/** @see linux/rtnetlink.h, rtm_table */
export const MAIN_TABLE = 254;
/** Numbers of path properties. @see linux/rtnetlink.h, RTAX_* */
export const PathProperty = { Mtu: 2, AdvertisedMss: 8 } as const;
/** @see linux/rtnetlink.h, rtm_type */
export const RouteType = { Unicast: 1 } as const;
/** @see linux/rtnetlink.h, rtm_protocol */
export const RouteProtocol = { Kernel: 2, Boot: 3 } as const;
/** Marks routes and addresses inside as ours; no number of rtnetlink.h or of iproute2's rt_protos. */
export const OUR_PROTOCOL = 98;
/** @see linux/if.h */
export const LinkFlag = { Up: 0x1, Loopback: 0x8, NoArp: 0x80, LowerUp: 0x10000 } as const;
/** How the kernel makes link-local addresses. @see linux/if_link.h, enum in6_addr_gen_mode */
export const AddressGeneration = { Eui64: 0, None: 1 } as const;

export const isDefaultRoute = (route: Route): boolean =>
  route.destinationLength === 0 && route.sourceLength === 0;
