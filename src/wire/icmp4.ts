/**
 * ICMP for IPv4 (RFC 792). Big-endian.
 *
 *    0               8              16                      31
 *   |     type      |     code      |       checksum        |
 *   |  echo: identifier             |  echo: sequence       |
 *   |  fragmentation needed: zero   |  MTU (RFC 1191)       |
 *   |  echo: data; error: IPv4 header and first bytes of    |
 *   |  the packet that caused it                            |
 */
import { checksum, sumBytes } from "./checksum.ts";

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const ID = 4;
const SEQUENCE = 6;
const MTU = 6;

/** Bytes in front of the data of an echo, or of the packet quoted by an error. */
export const ICMP4_LENGTH = 8;

export const Icmp4Type = {
  EchoReply: 0,
  Unreachable: 3,
  EchoRequest: 8,
  TimeExceeded: 11,
  ParameterProblem: 12,
} as const;

/** Codes of `Icmp4Type.Unreachable` (RFC 792, RFC 1812 section 5.2.7.1). */
export const Icmp4Unreachable = {
  Net: 0,
  Host: 1,
  Protocol: 2,
  Port: 3,
  FragmentationNeeded: 4,
  Prohibited: 13,
} as const;

/** Codes of `Icmp4Type.TimeExceeded`. */
export const Icmp4TimeExceeded = { Ttl: 0, Reassembly: 1 } as const;

/** Tells whether `[at, end)` holds a message, so that every getter below stays in bounds. */
export const isIcmp4Valid = (_view: DataView, at: number, end: number): boolean => end - at >= ICMP4_LENGTH;

/** Tells whether the checksum of the message `[at, end)` is right. */
export const isIcmp4ChecksumRight = (view: DataView, at: number, end: number): boolean =>
  checksum(sumBytes(view, at, end - at)) === 0;

export const icmp4Type = (view: DataView, at: number): number => view.getUint8(at + TYPE);
export const icmp4Code = (view: DataView, at: number): number => view.getUint8(at + CODE);
/** Identifier of an echo. */
export const icmp4Id = (view: DataView, at: number): number => view.getUint16(at + ID);
/** Sequence number of an echo. */
export const icmp4Sequence = (view: DataView, at: number): number => view.getUint16(at + SEQUENCE);
/** MTU of the next hop in "fragmentation needed", 0 from routers older than RFC 1191. */
export const icmp4Mtu = (view: DataView, at: number): number => view.getUint16(at + MTU);

/** Writes the header of an echo; data and `sealIcmp4` follow. */
export function writeIcmp4Echo(view: DataView, at: number, type: number, id: number, sequence: number): void {
  view.setUint16(at + TYPE, type << 8);
  view.setUint16(at + ID, id);
  view.setUint16(at + SEQUENCE, sequence);
}

/** Writes the header of an error; the quoted packet and `sealIcmp4` follow. `mtu` is for "fragmentation needed". */
export function writeIcmp4Error(view: DataView, at: number, type: number, code: number, mtu = 0): void {
  view.setUint16(at + TYPE, (type << 8) | code);
  view.setUint16(at + ID, 0);
  view.setUint16(at + MTU, mtu);
}

/** Computes and stores the checksum of the message `[at, end)`. */
export function sealIcmp4(view: DataView, at: number, end: number): void {
  view.setUint16(at + CHECKSUM, 0);
  view.setUint16(at + CHECKSUM, checksum(sumBytes(view, at, end - at)));
}
