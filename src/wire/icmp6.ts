/**
 * ICMPv6 (RFC 4443). Big-endian. Neighbour discovery is in ndp.ts.
 *
 *    0               8              16                      31
 *   |     type      |     code      |       checksum        |
 *   |  echo: identifier             |  echo: sequence       |
 *   |  packet too big: MTU; parameter problem: pointer      |
 *   |  echo: data; error: as much as fits of the packet     |
 *   |  that caused it                                       |
 */
import { checksum, sumBytes } from "./checksum.ts";

const TYPE = 0;
const CODE = 1;
const CHECKSUM = 2;
const ID = 4;
const SEQUENCE = 6;
const MTU = 4;

/** Bytes in front of the data of an echo, or of the packet quoted by an error. */
export const ICMP6_LENGTH = 8;

/** An error message quotes only as much as keeps its packet within the least MTU (RFC 4443 section 2.4). */
export const ICMP6_MAXIMUM_QUOTE = 1280 - 40 - ICMP6_LENGTH;

export const Icmp6Type = {
  Unreachable: 1,
  PacketTooBig: 2,
  TimeExceeded: 3,
  ParameterProblem: 4,
  EchoRequest: 128,
  EchoReply: 129,
} as const;

/** Codes of `Icmp6Type.Unreachable`. */
export const Icmp6Unreachable = { NoRoute: 0, Prohibited: 1, Address: 3, Port: 4 } as const;

/** Codes of `Icmp6Type.TimeExceeded`. */
export const Icmp6TimeExceeded = { HopLimit: 0, Reassembly: 1 } as const;

/** Tells whether `[at, end)` holds a message, so that every getter below stays in bounds. */
export const isIcmp6Valid = (_view: DataView, at: number, end: number): boolean => end - at >= ICMP6_LENGTH;

/** Tells whether the checksum of the message `[at, end)` is right; `pseudo` is the sum of its pseudo-header. */
export const isIcmp6ChecksumRight = (view: DataView, at: number, end: number, pseudo: number): boolean =>
  checksum(sumBytes(view, at, end - at, pseudo)) === 0;

export const icmp6Type = (view: DataView, at: number): number => view.getUint8(at + TYPE);
export const icmp6Code = (view: DataView, at: number): number => view.getUint8(at + CODE);
/** Identifier of an echo. */
export const icmp6Id = (view: DataView, at: number): number => view.getUint16(at + ID);
/** Sequence number of an echo. */
export const icmp6Sequence = (view: DataView, at: number): number => view.getUint16(at + SEQUENCE);
/** MTU of the next hop in "packet too big". */
export const icmp6Mtu = (view: DataView, at: number): number => view.getUint32(at + MTU);

/** Writes the header of an echo; data and `sealIcmp6` follow. */
export function writeIcmp6Echo(view: DataView, at: number, type: number, id: number, sequence: number): void {
  view.setUint16(at + TYPE, type << 8);
  view.setUint16(at + ID, id);
  view.setUint16(at + SEQUENCE, sequence);
}

/** Writes the header of an error; the quoted packet and `sealIcmp6` follow. `mtu` is for "packet too big". */
export function writeIcmp6Error(view: DataView, at: number, type: number, code: number, mtu = 0): void {
  view.setUint16(at + TYPE, (type << 8) | code);
  view.setUint32(at + MTU, mtu);
}

/** Computes and stores the checksum of the message `[at, end)`; `pseudo` is the sum of its pseudo-header. */
export function sealIcmp6(view: DataView, at: number, end: number, pseudo: number): void {
  view.setUint16(at + CHECKSUM, 0);
  view.setUint16(at + CHECKSUM, checksum(sumBytes(view, at, end - at, pseudo)));
}
