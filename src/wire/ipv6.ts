/**
 * IPv6 header (RFC 8200). Big-endian.
 *
 *    0       4              12                               31
 *   |version| traffic class |          flow label            |
 *   |       payload length          | next header | hop limit|
 *   |                   source address, 16                   |
 *   |                 destination address, 16                |
 */
const VERSION_CLASS_LABEL = 0;
const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;
const HOP_LIMIT = 7;

/** Bytes in a header. */
export const IPV6_LENGTH = 40;
/** Where the addresses are in a header. */
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;

/**
 * Tells whether `[at, end)` holds a whole packet, so that every getter below and the payload stay in bounds.
 * Bytes behind the packet are padding. Jumbograms (RFC 2675) have length 0 here, and so no payload.
 */
export const isIpv6Valid = (view: DataView, at: number, end: number): boolean =>
  end - at >= IPV6_LENGTH &&
  view.getUint8(at + VERSION_CLASS_LABEL) >>> 4 === 6 &&
  ipv6PayloadLength(view, at) <= end - at - IPV6_LENGTH;

/** 20 bits. */
export const ipv6FlowLabel = (view: DataView, at: number): number =>
  view.getUint32(at + VERSION_CLASS_LABEL) & 0xfffff;
/** Bytes behind this header, extension headers included. */
export const ipv6PayloadLength = (view: DataView, at: number): number => view.getUint16(at + PAYLOAD_LENGTH);
export const ipv6NextHeader = (view: DataView, at: number): number => view.getUint8(at + NEXT_HEADER);
export const ipv6HopLimit = (view: DataView, at: number): number => view.getUint8(at + HOP_LIMIT);

/** The address at `at` as words of base/address.ts. Allocates: not for every packet. */
export const ipv6Words = (view: DataView, at: number): Uint32Array =>
  Uint32Array.of(view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 8), view.getUint32(at + 12));

/** Writes a header with traffic class zero; the addresses are words of base/address.ts. */
export function writeIpv6(
  view: DataView,
  at: number,
  payloadLength: number,
  nextHeader: number,
  hopLimit: number,
  sourceWords: Uint32Array,
  sourceAt: number,
  destinationWords: Uint32Array,
  destinationAt: number,
  flowLabel = 0,
): void {
  view.setUint32(at + VERSION_CLASS_LABEL, 0x60000000 | flowLabel);
  view.setUint16(at + PAYLOAD_LENGTH, payloadLength);
  view.setUint8(at + NEXT_HEADER, nextHeader);
  view.setUint8(at + HOP_LIMIT, hopLimit);
  for (let i = 0; i < 4; i++) {
    view.setUint32(at + IPV6_SOURCE + 4 * i, sourceWords[sourceAt + i]);
    view.setUint32(at + IPV6_DESTINATION + 4 * i, destinationWords[destinationAt + i]);
  }
}
