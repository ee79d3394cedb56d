/**
 * Router advertisement (RFC 4861 section 4.2) with prefixes, MTU, source link-layer address, resolvers and search
 * domains (RFC 8106). An ICMPv6 message; `sealIcmp6` ends it. Cold path: messages are objects.
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
import {
  areNdpOptionsValid,
  NdpOption,
  ndpOption,
  ndpOptionLength,
  NdpType,
  writeLinkLayerOption,
} from "./ndp.ts";

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
  /** Addresses of resolvers. */
  resolvers: readonly Uint32Array[];
  searchDomains: readonly string[];
  /** How long resolvers and search domains hold. */
  dnsSeconds: number;
}

/** Tells whether `[at, end)` holds a router advertisement with well-formed options (RFC 4861 section 6.1.2). */
export const isRouterAdvertisementValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= OPTIONS &&
  view.getUint16(at + TYPE) === NdpType.RouterAdvertisement << 8 &&
  areNdpOptionsValid(view, at + OPTIONS, end);

/** How long the sender of a valid advertisement is a default router. */
export const routerLifetimeSeconds = (view: DataView, at: number): number => view.getUint16(at + LIFETIME);

/**
 * Reads a message that passed `isRouterAdvertisementValid`. Of several options of a type only prefixes are all
 * read, of the others the first.
 */
export function readRouterAdvertisement(view: DataView, at: number, end: number): RouterAdvertisement {
  const find = (type: number, length: number): number => {
    const option = ndpOption(view, at + OPTIONS, end, type);
    return option !== -1 && ndpOptionLength(view, option) >= length ? option : -1;
  };
  const flags = view.getUint8(at + FLAGS);
  const mac = find(NdpOption.SourceLinkLayer, LINK_LAYER_LENGTH);
  const mtu = find(NdpOption.Mtu, MTU_LENGTH);
  const rdnss = find(NdpOption.Rdnss, DNS_HEADER_LENGTH);
  const dnssl = find(NdpOption.Dnssl, DNS_HEADER_LENGTH);
  const dns = rdnss === -1 ? dnssl : rdnss;
  return {
    hopLimit: view.getUint8(at + HOP_LIMIT),
    managed: (flags & MANAGED) !== 0,
    other: (flags & OTHER) !== 0,
    lifetimeSeconds: routerLifetimeSeconds(view, at),
    reachableMs: view.getUint32(at + REACHABLE),
    retransmissionMs: view.getUint32(at + RETRANSMISSION),
    sourceMac: mac === -1 ? undefined : Uint8Array.from({ length: 6 }, (_, i) => view.getUint8(mac + 2 + i)),
    mtu: mtu === -1 ? undefined : view.getUint32(mtu + 4),
    prefixes: readPrefixes(view, at + OPTIONS, end),
    resolvers: rdnss === -1 ? [] : readResolvers(view, rdnss),
    searchDomains:
      dnssl === -1
        ? []
        : decodeDnsNames(view, dnssl + DNS_HEADER_LENGTH, dnssl + ndpOptionLength(view, dnssl)),
    dnsSeconds: dns === -1 ? 0 : view.getUint32(dns + 4),
  };
}

function readPrefixes(view: DataView, at: number, end: number): AdvertisedPrefix[] {
  const prefixes: AdvertisedPrefix[] = [];
  for (let option = at; option < end; option += ndpOptionLength(view, option)) {
    if (view.getUint8(option) !== NdpOption.Prefix || ndpOptionLength(view, option) !== PREFIX_LENGTH)
      continue;
    const flags = view.getUint8(option + 3);
    prefixes.push({
      address: ipv6Words(view, option + 16),
      length: view.getUint8(option + 2),
      onLink: (flags & ON_LINK) !== 0,
      autonomous: (flags & AUTONOMOUS) !== 0,
      validSeconds: view.getUint32(option + 4),
      preferredSeconds: view.getUint32(option + 8),
    });
  }
  return prefixes;
}

const readResolvers = (view: DataView, option: number): Uint32Array[] =>
  Array.from({ length: (ndpOptionLength(view, option) - DNS_HEADER_LENGTH) >> 4 }, (_, i) =>
    ipv6Words(view, option + DNS_HEADER_LENGTH + 16 * i),
  );

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
  // A resolver with an IPv4 address has no place here.
  const resolvers = message.resolvers.filter((words) => !isIpv4(words)).map(ipToBytes);
  next += writeDnsOption(view, next, end, NdpOption.Rdnss, message.dnsSeconds, resolvers);
  const names = message.searchDomains.map(encodeDnsName).filter((name) => name !== undefined);
  next += writeDnsOption(view, next, end, NdpOption.Dnssl, message.dnsSeconds, names);
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
