/**
 * The bodies of rtnetlink messages about links, addresses, neighbours and rules (rtnetlink(7)); cold path.
 * Decoders give undefined for anything incomplete, malformed or of another address family. Routes are in
 * rtnetlink-route.ts.
 */
import { formatIp, formatMac, ipFromBytes, ipToBytes, isIpv4, parseIp, parseMac } from "../base/address.ts";
import { AddressFlag } from "../base/network.ts";
import type { Family, NetworkAddress, NetworkLink } from "../base/network.ts";
import {
  attributeNumber,
  attributeText,
  decodeAttributes,
  encodeBody,
  LITTLE_ENDIAN,
  viewOf,
} from "./netlink-message.ts";
import type { Attribute } from "./netlink-message.ts";

/** Message types. @see linux/rtnetlink.h */
export const RtnetlinkType = {
  NewLink: 16,
  DeleteLink: 17,
  GetLink: 18,
  SetLink: 19,
  NewAddress: 20,
  DeleteAddress: 21,
  GetAddress: 22,
  NewRoute: 24,
  DeleteRoute: 25,
  GetRoute: 26,
  NewNeighbour: 28,
  DeleteNeighbour: 29,
  GetNeighbour: 30,
  NewRule: 32,
  DeleteRule: 33,
  GetRule: 34,
} as const;

/** Address families. @see linux/socket.h */
export const AF_INET = 2;
export const AF_INET6 = 10;

const LINK_HEADER_LENGTH = 16;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_TXQLEN = 13;
const IFLA_AF_SPEC = 26;
const IFLA_EXT_MASK = 29;
const IFLA_INET_CONF = 1;
const IFLA_INET6_CONF = 2;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IPV4_DEVCONF_PROMOTE_SECONDARIES = 20;
/** Where it is in IFLA_INET6_CONF, in bytes: numbers of 32 bits. @see linux/ipv6.h, DEVCONF_DISABLE_IPV6 */
const DISABLE_IPV6_AT = 4 * 26;
const RTEXT_FILTER_SKIP_STATS = 8;

const ADDRESS_HEADER_LENGTH = 8;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_CACHEINFO = 6;
const IFA_FLAGS = 8;
const IFA_RT_PRIORITY = 9;
const IFA_PROTO = 11;
const FOREVER = 0xffffffff;

const NEIGHBOUR_HEADER_LENGTH = 12;
const NDA_DST = 1;
const NDA_LLADDR = 2;

const RULE_HEADER_LENGTH = 12;
const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_TABLE = 15;
const FRA_OIFNAME = 17;

/** What to change of a link; what is undefined stays. */
export interface LinkChange {
  name?: string;
  mac?: string;
  mtu?: number;
  /** Packets that wait for the reader of a TAP. */
  txQueueLength?: number;
  /** AddressGeneration.* */
  addressGeneration?: number;
  /** The first IPv4 address of a subnet does not take the others with it. */
  promoteSecondaries?: boolean;
  /** IFF_* to set and to clear. */
  setFlags?: number;
  clearFlags?: number;
}

export interface Neighbour {
  interfaceIndex: number;
  family: Family;
  address: string;
  /** Empty when not known. */
  mac: string;
  /** NUD_* bit. */
  state: number;
}

/** A policy routing rule, as far as it matters which table is asked. */
export interface Rule {
  family: Family;
  priority: number;
  table: number;
  /** FR_ACT_* */
  action: number;
  /** Prefixes as "address/length", empty for any. */
  source: string;
  destination: string;
  inputInterface: string;
  outputInterface: string;
  mark: number;
}

/** The request for all links. */
export const linkDumpBody = (): Uint8Array =>
  encodeBody(new Uint8Array(LINK_HEADER_LENGTH), [[IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS]]);

export function encodeLinkChange(index: number, change: LinkChange): Uint8Array {
  const header = new Uint8Array(LINK_HEADER_LENGTH);
  const view = viewOf(header);
  const set = change.setFlags ?? 0;
  view.setInt32(4, index, LITTLE_ENDIAN);
  view.setUint32(8, set, LITTLE_ENDIAN);
  view.setUint32(12, set | (change.clearFlags ?? 0), LITTLE_ENDIAN);
  const attributes: Attribute[] = [];
  if (change.name !== undefined) attributes.push([IFLA_IFNAME, change.name]);
  if (change.mac !== undefined) attributes.push([IFLA_ADDRESS, macBytes(change.mac)]);
  if (change.mtu !== undefined) attributes.push([IFLA_MTU, change.mtu]);
  if (change.txQueueLength !== undefined) attributes.push([IFLA_TXQLEN, change.txQueueLength]);
  const families = familyAttributes(change);
  if (families.length > 0) attributes.push([IFLA_AF_SPEC, families]);
  return encodeBody(header, attributes);
}

function familyAttributes({ addressGeneration, promoteSecondaries }: LinkChange): Attribute[] {
  const attributes: Attribute[] = [];
  if (promoteSecondaries !== undefined) {
    const setting: Attribute = [IPV4_DEVCONF_PROMOTE_SECONDARIES, Number(promoteSecondaries)];
    attributes.push([AF_INET, [[IFLA_INET_CONF, [setting]]]]);
  }
  if (addressGeneration !== undefined) {
    attributes.push([AF_INET6, [[IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(addressGeneration)]]]);
  }
  return attributes;
}

/** The name and the MTU that `encodeLinkChange` was given; nothing else of it. */
export function decodeLinkChange(body: Uint8Array): Pick<LinkChange, "name" | "mtu"> {
  const attributes = decodeAttributes(body, LINK_HEADER_LENGTH);
  const name = attributeText(attributes, IFLA_IFNAME);
  const mtu = attributeNumber(attributes, IFLA_MTU);
  return { ...(name !== undefined && { name }), ...(mtu !== undefined && { mtu }) };
}

export function decodeLink(body: Uint8Array): NetworkLink | undefined {
  if (body.length < LINK_HEADER_LENGTH) return undefined;
  const view = viewOf(body);
  const attributes = decodeAttributes(body, LINK_HEADER_LENGTH);
  const name = attributeText(attributes, IFLA_IFNAME);
  const mac = attributes.get(IFLA_ADDRESS);
  // Bridges send messages of their own family about their ports with the same type.
  if (name === undefined || body[0] !== 0) return undefined;
  return {
    index: view.getInt32(4, LITTLE_ENDIAN),
    name,
    mac: mac?.length === 6 ? formatMac(mac) : "",
    mtu: attributeNumber(attributes, IFLA_MTU) ?? 0,
    flags: view.getUint32(8, LITTLE_ENDIAN),
    hasIpv6: hasIpv6(attributes.get(IFLA_AF_SPEC)),
  };
}

/** A link that has nothing to say of IPv6 has none. */
function hasIpv6(families: Uint8Array | undefined): boolean {
  const ofIpv6 = families === undefined ? undefined : decodeAttributes(families).get(AF_INET6);
  const settings = ofIpv6 === undefined ? undefined : decodeAttributes(ofIpv6).get(IFLA_INET6_CONF);
  if (settings === undefined || settings.length < DISABLE_IPV6_AT + 4) return false;
  return viewOf(settings).getUint32(DISABLE_IPV6_AT, LITTLE_ENDIAN) === 0;
}

/** The request for the addresses of one interface; of all for index 0. Old kernels ignore the index. */
export function addressDumpBody(interfaceIndex: number): Uint8Array {
  const header = new Uint8Array(ADDRESS_HEADER_LENGTH);
  viewOf(header).setUint32(4, interfaceIndex, LITTLE_ENDIAN);
  return header;
}

/**
 * An address to add or to delete. Lifetimes are infinite, for whoever renews them is elsewhere; one that is
 * deprecated is good for what uses it already.
 */
export function encodeAddress(address: NetworkAddress): Uint8Array {
  const header = new Uint8Array(ADDRESS_HEADER_LENGTH);
  header[0] = familyNumber(address.family);
  header[1] = address.prefixLength;
  header[2] = address.flags & 0xff;
  header[3] = address.scope;
  viewOf(header).setUint32(4, address.interfaceIndex, LITTLE_ENDIAN);
  const bytes = addressBytes(address.address);
  // IPv4 makes no local route without both.
  const attributes: Attribute[] = [
    [IFA_LOCAL, bytes],
    [IFA_ADDRESS, bytes],
    [IFA_FLAGS, address.flags],
  ];
  if (address.metric !== 0) attributes.push([IFA_RT_PRIORITY, address.metric]);
  // Linux before 5.18 knows no such attribute, and skips it.
  if (address.protocol !== 0) attributes.push([IFA_PROTO, Uint8Array.of(address.protocol)]);
  if ((address.flags & AddressFlag.Deprecated) !== 0) attributes.push([IFA_CACHEINFO, cacheInfo(0, FOREVER)]);
  return encodeBody(header, attributes);
}

/** struct ifa_cacheinfo with lifetimes in seconds. */
function cacheInfo(preferred: number, valid: number): Uint8Array {
  const bytes = new Uint8Array(16);
  viewOf(bytes).setUint32(0, preferred, LITTLE_ENDIAN);
  viewOf(bytes).setUint32(4, valid, LITTLE_ENDIAN);
  return bytes;
}

export function decodeAddress(body: Uint8Array): NetworkAddress | undefined {
  const family = familyOf(body[0]);
  if (body.length < ADDRESS_HEADER_LENGTH || family === undefined) return undefined;
  const attributes = decodeAttributes(body, ADDRESS_HEADER_LENGTH);
  const local = attributes.get(IFA_LOCAL);
  const remote = attributes.get(IFA_ADDRESS);
  const address = addressText(local ?? remote, family);
  if (address === undefined) return undefined;
  const isPointToPoint = local !== undefined && address !== addressText(remote ?? local, family);
  return {
    interfaceIndex: viewOf(body).getUint32(4, LITTLE_ENDIAN),
    family,
    address,
    prefixLength: isPointToPoint ? maxPrefix(family) : body[1],
    scope: body[3],
    flags: attributeNumber(attributes, IFA_FLAGS) ?? body[2],
    metric: attributeNumber(attributes, IFA_RT_PRIORITY) ?? 0,
    protocol: attributes.get(IFA_PROTO)?.[0] ?? 0,
  };
}

/** The request for all neighbours. */
export const neighbourDumpBody = (): Uint8Array => new Uint8Array(NEIGHBOUR_HEADER_LENGTH);

export function decodeNeighbour(body: Uint8Array): Neighbour | undefined {
  const family = familyOf(body[0]);
  if (body.length < NEIGHBOUR_HEADER_LENGTH || family === undefined) return undefined;
  const attributes = decodeAttributes(body, NEIGHBOUR_HEADER_LENGTH);
  const address = addressText(attributes.get(NDA_DST), family);
  const mac = attributes.get(NDA_LLADDR);
  if (address === undefined) return undefined;
  return {
    interfaceIndex: viewOf(body).getInt32(4, LITTLE_ENDIAN),
    family,
    address,
    mac: mac?.length === 6 ? formatMac(mac) : "",
    state: viewOf(body).getUint16(8, LITTLE_ENDIAN),
  };
}

/** The request for all rules. */
export const ruleDumpBody = (): Uint8Array => new Uint8Array(RULE_HEADER_LENGTH);

export function decodeRule(body: Uint8Array): Rule | undefined {
  const family = familyOf(body[0]);
  if (body.length < RULE_HEADER_LENGTH || family === undefined) return undefined;
  const attributes = decodeAttributes(body, RULE_HEADER_LENGTH);
  const prefix = (value: Uint8Array | undefined, length: number): string => {
    const address = addressText(value, family);
    return address === undefined ? "" : `${address}/${length}`;
  };
  return {
    family,
    priority: attributeNumber(attributes, FRA_PRIORITY) ?? 0,
    table: attributeNumber(attributes, FRA_TABLE) ?? body[4],
    action: body[7],
    source: prefix(attributes.get(FRA_SRC), body[2]),
    destination: prefix(attributes.get(FRA_DST), body[1]),
    inputInterface: attributeText(attributes, FRA_IIFNAME) ?? "",
    outputInterface: attributeText(attributes, FRA_OIFNAME) ?? "",
    mark: attributeNumber(attributes, FRA_FWMARK) ?? 0,
  };
}

/** AF_* to family. */
export function familyOf(number: number | undefined): Family | undefined {
  if (number === AF_INET) return 4;
  return number === AF_INET6 ? 6 : undefined;
}

/** Family to AF_*. */
export const familyNumber = (family: Family): number => (family === 4 ? AF_INET : AF_INET6);

/** Bits in an address. */
export const maxPrefix = (family: Family): number => (family === 4 ? 32 : 128);

/** Bytes to text, or undefined unless they are an address of this family. */
export function addressText(value: Uint8Array | undefined, family: Family): string | undefined {
  if (value === undefined || value.length !== maxPrefix(family) / 8) return undefined;
  const words = ipFromBytes(value);
  return isIpv4(words) === (family === 4) ? formatIp(words) : undefined;
}

/** Text to bytes. Throws RangeError for anything that is not an address. */
export function addressBytes(text: string): Uint8Array {
  const words = parseIp(text);
  if (words === undefined) throw new RangeError(`${text} is not an IP address`);
  return ipToBytes(words);
}

function macBytes(text: string): Uint8Array {
  const bytes = parseMac(text);
  if (bytes === undefined) throw new RangeError(`${text} is not a MAC address`);
  return bytes;
}
