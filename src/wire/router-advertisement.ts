/**
 * Router advertisement (RFC 4861 section 4.2) with prefixes, MTU, source link-layer address, routes (RFC 4191),
 * resolvers and search domains (RFC 8106). An ICMPv6 message; `sealIcmp6` ends it. Cold path: messages are objects.
 *
 *    0               8              16                      31
 *   |   type 134    |    code 0     |       checksum        |
 *   |   hop limit   |M|O| reserved  |   lifetime, seconds   |
 *   |           reachable time, milliseconds                |
 *   |           retransmission timer, milliseconds          |
 *   |           options                                     |
 */
import { ipToBytes, isIpv4 } from "../base/address.ts";
import { decodeDnsNames, encodeDnsName } from "./dns-name.ts";
import { ipv6Words } from "./ipv6.ts";
import { areNdpOptionsValid, NdpOption, ndpOptionLength, NdpType, writeLinkLayerOption } from "./ndp.ts";

const TYPE = 0;
const HOP_LIMIT = 4;
const FLAGS = 5;
const LIFETIME = 6;
const REACHABLE = 8;
const RETRANSMISSION = 12;
const OPTIONS = 16;

const MANAGED = 0x80;
const OTHER = 0x40;
const ON_LINK = 0x80;
const AUTONOMOUS = 0x40;

const PREFIX_LENGTH = 32;
const MTU_LENGTH = 8;
const LINK_LAYER_LENGTH = 8;
const ROUTE_HEADER_LENGTH = 8;
/** Bytes in front of the addresses of RDNSS, and of the names of DNSSL. */
const DNS_HEADER_LENGTH = 8;
/** The most an option can hold: its length is a byte, in units of 8. */
const MAXIMUM_OPTION = 255 * 8;

/** A lifetime that never ends. */
export const INFINITE_SECONDS = 0xffffffff;
/** The longest lifetime of a router (RFC 8319 section 4). */
export const MAXIMUM_ROUTER_SECONDS = 65_535;

/** A prefix information option (RFC 4861 section 4.6.2). */
export interface AdvertisedPrefix {
  /** Words of base/address.ts; bits behind `length` are zero. */
  address: Uint32Array;
  length: number;
  /** Addresses of the prefix can be reached on the link directly. */
  onLink: boolean;
  /** Hosts may make addresses of the prefix (RFC 4862). */
  autonomous: boolean;
  validSeconds: number;
  preferredSeconds: number;
}

/** A route information option (RFC 4191 section 2.3), of medium preference. */
export interface AdvertisedRoute {
  /** Words of base/address.ts; bits behind `length` are zero. */
  address: Uint32Array;
  length: number;
  seconds: number;
}

/** A recursive DNS server option (RFC 8106 section 5.1). */
export interface AdvertisedResolvers {
  addresses: readonly Uint32Array[];
  seconds: number;
}

/** A DNS search list option (RFC 8106 section 5.2). */
export interface AdvertisedSearchList {
  domains: readonly string[];
  seconds: number;
}

export interface RouterAdvertisement {
  /** What hosts shall use in their packets; 0 leaves it to them. */
  hopLimit: number;
  /** Addresses come from DHCPv6. */
  managed: boolean;
  /** Everything else comes from DHCPv6. */
  other: boolean;
  /** How long this is a default router, 0 (not at all) to MAXIMUM_ROUTER_SECONDS. */
  lifetimeSeconds: number;
  /** 0: not said. */
  reachableMs: number;
  /** 0: not said. */
  retransmissionMs: number;
  /** The router's MAC address, 6 bytes. */
  sourceMac: Uint8Array | undefined;
  mtu: number | undefined;
  prefixes: readonly AdvertisedPrefix[];
  routes: readonly AdvertisedRoute[];
  resolvers: readonly AdvertisedResolvers[];
  searchLists: readonly AdvertisedSearchList[];
}

/** Tells whether `[at, end)` holds a router advertisement with well-formed options (RFC 4861 section 6.1.2). */
export const isRouterAdvertisementValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= OPTIONS &&
  view.getUint16(at + TYPE) === NdpType.RouterAdvertisement << 8 &&
  areNdpOptionsValid(view, at + OPTIONS, end);

/**
 * Reads a message that passed `isRouterAdvertisementValid`. Options too short for what they should hold are left out; of
 * several with a MAC address or an MTU, the first counts.
 */
export function readRouterAdvertisement(view: DataView, at: number, end: number): RouterAdvertisement {
  const all = (type: number, length: number): number[] => {
    const found: number[] = [];
    for (let option = at + OPTIONS; option < end; option += ndpOptionLength(view, option)) {
      if (view.getUint8(option) === type && ndpOptionLength(view, option) >= length) found.push(option);
    }
    return found;
  };
  const flags = view.getUint8(at + FLAGS);
  const mac = all(NdpOption.SourceLinkLayer, LINK_LAYER_LENGTH).at(0);
  const mtu = all(NdpOption.Mtu, MTU_LENGTH).at(0);
  return {
    hopLimit: view.getUint8(at + HOP_LIMIT),
    managed: (flags & MANAGED) !== 0,
    other: (flags & OTHER) !== 0,
    lifetimeSeconds: view.getUint16(at + LIFETIME),
    reachableMs: view.getUint32(at + REACHABLE),
    retransmissionMs: view.getUint32(at + RETRANSMISSION),
    sourceMac:
      mac === undefined ? undefined : Uint8Array.from({ length: 6 }, (_, i) => view.getUint8(mac + 2 + i)),
    mtu: mtu === undefined ? undefined : view.getUint32(mtu + 4),
    prefixes: all(NdpOption.Prefix, PREFIX_LENGTH).map((option) => readPrefix(view, option)),
    routes: all(NdpOption.Route, ROUTE_HEADER_LENGTH).map((option) => readRoute(view, option)),
    resolvers: all(NdpOption.Rdnss, DNS_HEADER_LENGTH + 16).map((option) => readResolvers(view, option)),
    searchLists: all(NdpOption.Dnssl, DNS_HEADER_LENGTH + 8).map((option) => ({
      domains: decodeDnsNames(view, option + DNS_HEADER_LENGTH, option + ndpOptionLength(view, option)),
      seconds: view.getUint32(option + 4),
    })),
  };
}

function readPrefix(view: DataView, option: number): AdvertisedPrefix {
  const flags = view.getUint8(option + 3);
  return {
    address: ipv6Words(view, option + 16),
    length: view.getUint8(option + 2),
    onLink: (flags & ON_LINK) !== 0,
    autonomous: (flags & AUTONOMOUS) !== 0,
    validSeconds: view.getUint32(option + 4),
    preferredSeconds: view.getUint32(option + 8),
  };
}

/** As much of the prefix is there as the option holds; the rest is zero. */
function readRoute(view: DataView, option: number): AdvertisedRoute {
  const words = (ndpOptionLength(view, option) - ROUTE_HEADER_LENGTH) >> 2;
  return {
    address: Uint32Array.from({ length: 4 }, (_, i) =>
      i < words ? view.getUint32(option + ROUTE_HEADER_LENGTH + 4 * i) : 0,
    ),
    length: view.getUint8(option + 2),
    seconds: view.getUint32(option + 4),
  };
}

const readResolvers = (view: DataView, option: number): AdvertisedResolvers => ({
  addresses: Array.from({ length: (ndpOptionLength(view, option) - DNS_HEADER_LENGTH) >> 4 }, (_, i) =>
    ipv6Words(view, option + DNS_HEADER_LENGTH + 16 * i),
  ),
  seconds: view.getUint32(option + 4),
});

/**
 * Writes a message before `end`, which leaves room for at least 16 bytes. Options that do not fit are left out,
 * resolvers and search domains one by one; so are names that the DNS could not carry. Returns its length in bytes;
 * `sealIcmp6` follows.
 */
export function writeRouterAdvertisement(
  view: DataView,
  at: number,
  end: number,
  message: RouterAdvertisement,
): number {
  view.setUint32(at + TYPE, NdpType.RouterAdvertisement << 24);
  view.setUint8(at + HOP_LIMIT, message.hopLimit);
  view.setUint8(at + FLAGS, (message.managed ? MANAGED : 0) | (message.other ? OTHER : 0));
  view.setUint16(at + LIFETIME, message.lifetimeSeconds);
  view.setUint32(at + REACHABLE, message.reachableMs);
  view.setUint32(at + RETRANSMISSION, message.retransmissionMs);
  let next = at + OPTIONS;
  if (message.sourceMac !== undefined && next + LINK_LAYER_LENGTH <= end) {
    writeLinkLayerOption(view, next, NdpOption.SourceLinkLayer, message.sourceMac);
    next += LINK_LAYER_LENGTH;
  }
  if (message.mtu !== undefined && next + MTU_LENGTH <= end) {
    writeOptionHeader(view, next, NdpOption.Mtu, MTU_LENGTH, message.mtu);
    next += MTU_LENGTH;
  }
  for (const prefix of message.prefixes) {
    if (next + PREFIX_LENGTH > end) break;
    writePrefix(view, next, prefix);
    next += PREFIX_LENGTH;
  }
  for (const { addresses, seconds } of message.resolvers) {
    // A resolver with an IPv4 address has no place here.
    const resolvers = addresses.filter((words) => !isIpv4(words)).map(ipToBytes);
    next += writeDnsOption(view, next, end, NdpOption.Rdnss, seconds, resolvers);
  }
  for (const route of message.routes) next += writeRoute(view, next, end, route);
  for (const { domains, seconds } of message.searchLists) {
    const names = domains.map(encodeDnsName).filter((name) => name !== undefined);
    next += writeDnsOption(view, next, end, NdpOption.Dnssl, seconds, names);
  }
  return next - at;
}

/** The first 8 bytes of an option whose third and fourth are reserved. */
function writeOptionHeader(view: DataView, at: number, type: number, length: number, value: number): void {
  view.setUint8(at, type);
  view.setUint8(at + 1, length >> 3);
  view.setUint16(at + 2, 0);
  view.setUint32(at + 4, value);
}

function writePrefix(view: DataView, at: number, prefix: AdvertisedPrefix): void {
  writeOptionHeader(view, at, NdpOption.Prefix, PREFIX_LENGTH, prefix.validSeconds);
  view.setUint8(at + 2, prefix.length);
  view.setUint8(at + 3, (prefix.onLink ? ON_LINK : 0) | (prefix.autonomous ? AUTONOMOUS : 0));
  view.setUint32(at + 8, prefix.preferredSeconds);
  view.setUint32(at + 12, 0);
  for (let i = 0; i < 4; i++) view.setUint32(at + 16 + 4 * i, prefix.address[i]);
}

/** Writes a route with as much of its prefix as counts; nothing when there is no room. Returns the length. */
function writeRoute(view: DataView, at: number, end: number, route: AdvertisedRoute): number {
  const words = 2 * Math.ceil(route.length / 64);
  const length = ROUTE_HEADER_LENGTH + 4 * words;
  if (at + length > end) return 0;
  writeOptionHeader(view, at, NdpOption.Route, length, route.seconds);
  view.setUint8(at + 2, route.length);
  for (let i = 0; i < words; i++) view.setUint32(at + ROUTE_HEADER_LENGTH + 4 * i, route.address[i]);
  return length;
}

/** Writes as many entries as fit, padded with zeros to 8 bytes; nothing when there is none. Returns the length. */
function writeDnsOption(
  view: DataView,
  at: number,
  end: number,
  type: number,
  seconds: number,
  entries: readonly Uint8Array[],
): number {
  const room = Math.min(end - at, MAXIMUM_OPTION) & ~7;
  let used = DNS_HEADER_LENGTH;
  for (const entry of entries) {
    if (used + entry.length > room) break;
    for (const [i, byte] of entry.entries()) view.setUint8(at + used + i, byte);
    used += entry.length;
  }
  if (used === DNS_HEADER_LENGTH) return 0;
  const length = (used + 7) & ~7;
  for (let i = used; i < length; i++) view.setUint8(at + i, 0);
  writeOptionHeader(view, at, type, length, seconds);
  return length;
}
