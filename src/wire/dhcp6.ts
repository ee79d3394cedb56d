/**
 * DHCP for IPv6 (RFC 8415 section 8): the payload of a datagram. Big-endian. Cold path.
 *
 *    0              8              16             31
 *   |     type     |        transaction id          |
 *   |          code              |     length       |  options, each with its value behind it
 */
import { type DhcpOption, fittingValue } from "./dhcp-option.ts";

const OPTIONS = 4;
const OPTION_HEADER = 4;
/** A DUID has a type and 1 to 128 bytes more (RFC 8415 section 11.1). */
const DUID_MIN = 3;
const DUID_MAX = 130;

/** Ports of RFC 8415 section 7.2. */
export const DHCP6_CLIENT_PORT = 546;
export const DHCP6_SERVER_PORT = 547;

/** RFC 8415 section 7.3. */
export const Dhcp6Type = {
  Solicit: 1,
  Advertise: 2,
  Request: 3,
  Confirm: 4,
  Renew: 5,
  Rebind: 6,
  Reply: 7,
  Release: 8,
  Decline: 9,
  InformationRequest: 11,
} as const;

/** RFC 8415 section 21, the RFC of each else. */
export const Dhcp6Option = {
  Client: 1,
  Server: 2,
  /** Identity association: addresses that a client is given together. */
  IaNa: 3,
  /** The same for temporary addresses. */
  IaTa: 4,
  IaAddress: 5,
  OptionRequest: 6,
  Preference: 7,
  StatusCode: 13,
  RapidCommit: 14,
  /** RFC 3646. */
  Resolvers: 23,
  SearchList: 24,
  /** Identity association for prefixes. */
  IaPd: 25,
  /** When to ask again, for who has no addresses of ours. */
  InformationRefreshTime: 32,
  /** RFC 4704. */
  ClientFqdn: 39,
  /** The longest time between two messages of a client that looks for a server. */
  MaximumSolicitTime: 82,
} as const;

/** RFC 8415 section 21.13. */
export const Dhcp6Status = {
  Success: 0,
  NoAddressAvailable: 2,
  NoBinding: 3,
  NotOnLink: 4,
  UseMulticast: 5,
  NoPrefixAvailable: 6,
} as const;

/** Flags of a client's name (RFC 4704 section 4.1): the server updates the DNS, against the client's will, or not. */
export const FqdnFlag6 = { ServerUpdates: 0x01, Override: 0x02, NoUpdates: 0x04 } as const;

/** Tells whether `[at, end)` holds a message with well-formed options; theirs inside are not looked at. */
export const isDhcp6Valid = (view: DataView, at: number, end: number): boolean =>
  end - at >= OPTIONS && dhcp6Options(view, at + OPTIONS, end) !== undefined;

export const dhcp6Type = (view: DataView, at: number): number => view.getUint8(at);
/** 24 bits. */
export const dhcp6Transaction = (view: DataView, at: number): number => view.getUint32(at) & 0xffffff;

/** An option where it is: `[at, end)` is its value. */
export interface Dhcp6OptionAt {
  code: number;
  at: number;
  end: number;
}

/** The options of a valid message. */
export const dhcp6MessageOptions = (view: DataView, at: number, end: number): Dhcp6OptionAt[] =>
  dhcp6Options(view, at + OPTIONS, end) ?? [];

/** The options that fill `[at, end)`; undefined when they are not well-formed. */
export function dhcp6Options(view: DataView, at: number, end: number): Dhcp6OptionAt[] | undefined {
  const options: Dhcp6OptionAt[] = [];
  let next = at;
  while (next < end) {
    if (next + OPTION_HEADER > end) return undefined;
    const value = next + OPTION_HEADER;
    next = value + view.getUint16(next + 2);
    if (next > end) return undefined;
    options.push({ code: view.getUint16(value - OPTION_HEADER), at: value, end: next });
  }
  return options;
}

/** The value of the first option with this code: a view, or undefined. */
export function dhcp6Value(
  view: DataView,
  options: readonly Dhcp6OptionAt[],
  code: number,
): Uint8Array | undefined {
  const option = options.find((each) => each.code === code);
  if (option === undefined) return undefined;
  return new Uint8Array(view.buffer, view.byteOffset + option.at, option.end - option.at);
}

/** Tells whether a value can be the identifier of a client. */
export const isDuid = (value: Uint8Array | undefined): value is Uint8Array =>
  value !== undefined && value.length >= DUID_MIN && value.length <= DUID_MAX;

/** The identifier of whoever has this MAC address (DUID-LL, RFC 8415 section 11.4). */
export const linkLayerDuid = (mac: Uint8Array): Uint8Array => Uint8Array.of(0, 3, 0, 1, ...mac);

/**
 * Writes a message. Options that do not fit before `end`, which leaves room for 4 bytes, are left out. Returns its
 * length in bytes.
 */
export function writeDhcp6(
  view: DataView,
  at: number,
  end: number,
  type: number,
  transaction: number,
  options: readonly DhcpOption[],
): number {
  view.setUint32(at, type * 0x1000000 + transaction);
  let next = at + OPTIONS;
  for (const option of options) {
    const value = fittingValue(option, (length) => next + OPTION_HEADER + length <= end);
    if (value === undefined) continue;
    view.setUint16(next, option.code);
    view.setUint16(next + 2, value.length);
    next += OPTION_HEADER;
    for (const byte of value) view.setUint8(next++, byte);
  }
  return next - at;
}

/** The bytes of an option, for one that has others inside. */
export function dhcp6OptionBytes(code: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(OPTION_HEADER + value.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code);
  view.setUint16(2, value.length);
  bytes.set(value, OPTION_HEADER);
  return bytes;
}
