/**
 * UDP header (RFC 768). Big-endian.
 *
 *    0               16             31
 *   |  source port   |  destination  |
 *   |    length      |   checksum    |
 */
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const LENGTH = 4;
const CHECKSUM = 6;

/** Bytes in a header. */
export const UDP_LENGTH = 8;
/** Where the checksum is in a header. */
export const UDP_CHECKSUM = CHECKSUM;

/** Tells whether `[at, end)` holds a whole datagram, so that every getter below and the payload stay in bounds. */
export const isUdpValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= UDP_LENGTH && udpLength(view, at) >= UDP_LENGTH && udpLength(view, at) <= end - at;

export const udpSourcePort = (view: DataView, at: number): number => view.getUint16(at + SOURCE_PORT);
export const udpDestinationPort = (view: DataView, at: number): number =>
  view.getUint16(at + DESTINATION_PORT);
/** Bytes in the datagram, header included. */
export const udpLength = (view: DataView, at: number): number => view.getUint16(at + LENGTH);
/** 0 means none, which IPv6 does not allow. */
export const udpChecksum = (view: DataView, at: number): number => view.getUint16(at + CHECKSUM);

/** Writes a header with checksum 0; `length` includes the header. */
export function writeUdp(
  view: DataView,
  at: number,
  source: number,
  destination: number,
  length: number,
): void {
  view.setUint16(at + SOURCE_PORT, source);
  view.setUint16(at + DESTINATION_PORT, destination);
  view.setUint16(at + LENGTH, length);
  view.setUint16(at + CHECKSUM, 0);
}

/** Stores a checksum as it is. A complete one that came out as 0 has to be stored as 0xffff (RFC 768). */
export const setUdpChecksum = (view: DataView, at: number, value: number): void =>
  view.setUint16(at + CHECKSUM, value);
