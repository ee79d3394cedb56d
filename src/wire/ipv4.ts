/**
 * IPv4 header (RFC 791). Big-endian.
 *
 *    0       4       8              16                      31
 *   |version| IHL   |      TOS      |     total length      |
 *   |          identification       |flg|  fragment offset  |
 *   |      TTL      |   protocol    |    header checksum    |
 *   |                    source address                     |
 *   |                  destination address                  |
 *   |                  options, IHL permitting              |
 */
import { checksum } from "./checksum.ts";

const VERSION_IHL = 0;
const TOS = 1;
const TOTAL_LENGTH = 2;
const ID = 4;
const FRAGMENT = 6;
const TTL = 8;
const PROTOCOL = 9;
const CHECKSUM = 10;
const SOURCE = 12;
const DESTINATION = 16;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/** Bytes in a header without options. */
export const IPV4_LENGTH = 20;

/** Upper-layer protocols, the same numbers in IPv4 and IPv6 (IANA protocol numbers). */
export const IpProtocol = { Icmp: 1, Tcp: 6, Udp: 17, Icmp6: 58 } as const;

/**
 * Tells whether `[at, end)` holds a whole packet, so that every getter below and everything up to
 * `ipv4TotalLength` stays in bounds. Bytes behind the packet are padding. The header checksum is not looked at.
 */
export function isIpv4Valid(view: DataView, at: number, end: number): boolean {
  if (end - at < IPV4_LENGTH || view.getUint8(at + VERSION_IHL) >>> 4 !== 4) return false;
  const headerLength = ipv4HeaderLength(view, at);
  const totalLength = ipv4TotalLength(view, at);
  return headerLength >= IPV4_LENGTH && headerLength <= totalLength && totalLength <= end - at;
}

/** Bytes in this header, options included. */
export const ipv4HeaderLength = (view: DataView, at: number): number =>
  (view.getUint8(at + VERSION_IHL) & 0x0f) << 2;
export const ipv4Tos = (view: DataView, at: number): number => view.getUint8(at + TOS);
/** Bytes in the packet, header included. */
export const ipv4TotalLength = (view: DataView, at: number): number => view.getUint16(at + TOTAL_LENGTH);
export const ipv4Id = (view: DataView, at: number): number => view.getUint16(at + ID);
export const ipv4DontFragment = (view: DataView, at: number): boolean =>
  (view.getUint16(at + FRAGMENT) & DONT_FRAGMENT) !== 0;
export const ipv4MoreFragments = (view: DataView, at: number): boolean =>
  (view.getUint16(at + FRAGMENT) & MORE_FRAGMENTS) !== 0;
/** Where this fragment belongs in its packet's payload, in bytes. */
export const ipv4FragmentOffset = (view: DataView, at: number): number =>
  (view.getUint16(at + FRAGMENT) & 0x1fff) << 3;
export const ipv4Ttl = (view: DataView, at: number): number => view.getUint8(at + TTL);
export const ipv4Protocol = (view: DataView, at: number): number => view.getUint8(at + PROTOCOL);
export const ipv4Source = (view: DataView, at: number): number => view.getUint32(at + SOURCE);
export const ipv4Destination = (view: DataView, at: number): number => view.getUint32(at + DESTINATION);

/**
 * Writes a header without options, with its checksum; "don't fragment" set, identification and TOS zero.
 * `totalLength` includes the header.
 */
export function writeIpv4(
  view: DataView,
  at: number,
  totalLength: number,
  protocol: number,
  ttl: number,
  source: number,
  destination: number,
): void {
  const ttlAndProtocol = (ttl << 8) | protocol;
  view.setUint16(at + VERSION_IHL, 0x4500);
  view.setUint16(at + TOTAL_LENGTH, totalLength);
  view.setUint16(at + ID, 0);
  view.setUint16(at + FRAGMENT, DONT_FRAGMENT);
  view.setUint16(at + TTL, ttlAndProtocol);
  view.setUint16(
    at + CHECKSUM,
    checksum(0x4500 + totalLength + DONT_FRAGMENT + ttlAndProtocol + source + destination),
  );
  view.setUint32(at + SOURCE, source);
  view.setUint32(at + DESTINATION, destination);
}
