/**
 * DHCP for IPv4 (RFC 2131 section 2, options RFC 2132) and the BOOTP before it: the payload of a datagram.
 * Big-endian. Cold path.
 *
 *    0        8        16       24      31
 *   |   op   | htype  |  hlen  |  hops  |
 *   |          transaction id           |
 *   |      seconds    |      flags      |
 *   |    ciaddr: the client's address   |
 *   |    yiaddr: "your" address         |
 *   |    siaddr: the next server        |
 *   |    giaddr: the relay              |
 *   |    chaddr: hardware address, 16   |
 *   |    server's name, 64              |
 *   |    boot file, 128                 |
 *   |           magic cookie            |
 *   |    options: code, length, value   |
 */
import { type DhcpOption, fittingValue } from "./dhcp-option.ts";

const OP = 0;
const HARDWARE_TYPE = 1;
const HARDWARE_LENGTH = 2;
const TRANSACTION = 4;
const FLAGS = 10;
const CLIENT_ADDRESS = 12;
const YOUR_ADDRESS = 16;
const RELAY_ADDRESS = 24;
const HARDWARE_ADDRESS = 28;
const MAGIC = 236;
const OPTIONS = 240;

const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const ETHERNET = 1;
const MAC_BYTES = 6;
const HARDWARE_ADDRESS_BYTES = 16;
const MAGIC_COOKIE = 0x63825363;
const BROADCAST = 0x8000;
/** Clients of BOOTP take nothing shorter: its vendor area has 64 bytes (RFC 951 section 3). */
const MINIMUM_REPLY = MAGIC + 64;
/** What one option can hold; longer values go into several of them (RFC 3396). */
const MAXIMUM_OPTION = 255;

/** Ports of RFC 951. */
export const DHCP4_SERVER_PORT = 67;
export const DHCP4_CLIENT_PORT = 68;

/** RFC 2132, the RFC of each else. */
export const Dhcp4Option = {
  Pad: 0,
  SubnetMask: 1,
  Router: 3,
  Resolvers: 6,
  HostName: 12,
  Mtu: 26,
  RequestedAddress: 50,
  LeaseSeconds: 51,
  Type: 53,
  Server: 54,
  ParameterRequestList: 55,
  MaximumMessage: 57,
  /** T1 and T2: when to ask the server again, and when all servers. */
  RenewalSeconds: 58,
  RebindingSeconds: 59,
  ClientIdentifier: 61,
  /** RFC 4039. */
  RapidCommit: 80,
  /** RFC 4702. */
  ClientFqdn: 81,
  /** RFC 3397. */
  SearchList: 119,
  /** RFC 3442. */
  ClasslessRoutes: 121,
  End: 255,
} as const;

/** RFC 2132 section 9.6. A message of BOOTP has none of them. */
export const Dhcp4Type = {
  Bootp: 0,
  Discover: 1,
  Offer: 2,
  Request: 3,
  Decline: 4,
  Ack: 5,
  Nak: 6,
  Release: 7,
  Inform: 8,
} as const;

/** Flags of a client's name (RFC 4702 section 2.1): the server updates the DNS; it does so against the client's will;
 * the name is in the form of the DNS; the server does not update the DNS. */
export const FqdnFlag4 = { ServerUpdates: 0x01, Override: 0x02, Encoded: 0x04, NoUpdates: 0x08 } as const;

/** Tells whether `[at, end)` holds a request of a client with an Ethernet address and well-formed options. */
export const isDhcp4RequestValid = (view: DataView, at: number, end: number): boolean =>
  isDhcp4Valid(view, at, end) &&
  view.getUint8(at + OP) === BOOT_REQUEST &&
  view.getUint8(at + HARDWARE_TYPE) === ETHERNET &&
  view.getUint8(at + HARDWARE_LENGTH) === MAC_BYTES;

/** The same of any message. */
export const isDhcp4Valid = (view: DataView, at: number, end: number): boolean =>
  end - at >= OPTIONS &&
  view.getUint32(at + MAGIC) === MAGIC_COOKIE &&
  areOptionsValid(view, at + OPTIONS, end);

/** An option that ends the list is not asked for: requests of BOOTP often have zeros only. */
function areOptionsValid(view: DataView, at: number, end: number): boolean {
  for (let next = at; next < end; next = afterOption(view, next)) {
    const code = view.getUint8(next);
    if (code === Dhcp4Option.End) return true;
    if (code !== Dhcp4Option.Pad && (next + 2 > end || afterOption(view, next) > end)) return false;
  }
  return true;
}

const afterOption = (view: DataView, option: number): number =>
  view.getUint8(option) === Dhcp4Option.Pad ? option + 1 : option + 2 + view.getUint8(option + 1);

/** Where the options of a valid message are, in order; of each its code, its length, its value. */
export function dhcp4Options(view: DataView, at: number, end: number): number[] {
  const options: number[] = [];
  for (let next = at + OPTIONS; next < end; next = afterOption(view, next)) {
    const code = view.getUint8(next);
    if (code === Dhcp4Option.End) break;
    if (code !== Dhcp4Option.Pad) options.push(next);
  }
  return options;
}

/** The value of the first option with this code in a valid message: a view, or undefined. */
export function dhcp4Value(view: DataView, at: number, end: number, code: number): Uint8Array | undefined {
  const option = dhcp4Options(view, at, end).find((each) => view.getUint8(each) === code);
  if (option === undefined) return undefined;
  return new Uint8Array(view.buffer, view.byteOffset + option + 2, view.getUint8(option + 1));
}

/** Dhcp4Type of a valid message, or -1 when it has one that is no type. */
export function dhcp4Type(view: DataView, at: number, end: number): number {
  const value = dhcp4Value(view, at, end, Dhcp4Option.Type);
  if (value === undefined) return Dhcp4Type.Bootp;
  return value.length === 1 && value[0] !== Dhcp4Type.Bootp ? value[0] : -1;
}

/** An option's value that is an address in host order, or 0. */
export function dhcp4Address(view: DataView, at: number, end: number, code: number): number {
  const value = dhcp4Value(view, at, end, code);
  return value?.length === 4 ? new DataView(value.buffer, value.byteOffset).getUint32(0) : 0;
}

/** Addresses of a message in host order, 0 when there is none. */
export const dhcp4ClientAddress = (view: DataView, at: number): number => view.getUint32(at + CLIENT_ADDRESS);
export const dhcp4YourAddress = (view: DataView, at: number): number => view.getUint32(at + YOUR_ADDRESS);
export const dhcp4RelayAddress = (view: DataView, at: number): number => view.getUint32(at + RELAY_ADDRESS);
/** Whether the client hears only what is sent to everybody. */
export const dhcp4WantsBroadcast = (view: DataView, at: number): boolean =>
  (view.getUint16(at + FLAGS) & BROADCAST) !== 0;

/** An answer, beside what it repeats of the request. */
export interface Dhcp4Reply {
  /** Addresses in host order, or 0. */
  clientAddress: number;
  yourAddress: number;
  options: readonly DhcpOption[];
}

/**
 * Writes the answer to the valid request at `request`. Options that do not fit before `end`, which leaves room for
 * MINIMUM_REPLY bytes, are left out. Returns its length in bytes.
 */
export function writeDhcp4Reply(
  view: DataView,
  at: number,
  end: number,
  request: number,
  reply: Dhcp4Reply,
): number {
  for (let i = 0; i < MINIMUM_REPLY; i++) view.setUint8(at + i, 0);
  view.setUint8(at + OP, BOOT_REPLY);
  view.setUint8(at + HARDWARE_TYPE, ETHERNET);
  view.setUint8(at + HARDWARE_LENGTH, MAC_BYTES);
  view.setUint32(at + TRANSACTION, view.getUint32(request + TRANSACTION));
  view.setUint16(at + FLAGS, view.getUint16(request + FLAGS));
  view.setUint32(at + CLIENT_ADDRESS, reply.clientAddress);
  view.setUint32(at + YOUR_ADDRESS, reply.yourAddress);
  for (let i = 0; i < HARDWARE_ADDRESS_BYTES; i++) {
    view.setUint8(at + HARDWARE_ADDRESS + i, view.getUint8(request + HARDWARE_ADDRESS + i));
  }
  view.setUint32(at + MAGIC, MAGIC_COOKIE);
  let next = at + OPTIONS;
  for (const option of reply.options) next += writeOption(view, next, end - 1, option);
  view.setUint8(next++, Dhcp4Option.End);
  return Math.max(next - at, MINIMUM_REPLY);
}

/** What a value of so many bytes takes with the headers that it needs. */
const bytesFor = (length: number): number => length + 2 * Math.max(1, Math.ceil(length / MAXIMUM_OPTION));

/** Returns the length of what was written, which is nothing where there is no room. */
function writeOption(view: DataView, at: number, end: number, option: DhcpOption): number {
  const value = fittingValue(option, (length) => bytesFor(length) <= end - at);
  if (value === undefined) return 0;
  let next = at;
  let done = 0;
  do {
    const length = Math.min(value.length - done, MAXIMUM_OPTION);
    view.setUint8(next, option.code);
    view.setUint8(next + 1, length);
    for (let i = 0; i < length; i++) view.setUint8(next + 2 + i, value[done + i]);
    next += 2 + length;
    done += length;
  } while (done < value.length);
  return next - at;
}
