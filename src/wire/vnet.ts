/**
 * struct virtio_net_hdr, which precedes every frame of a TAP with IFF_VNET_HDR (linux/virtio_net.h). Native byte
 * order, written here as little-endian: all machines that Node.js has packages for are.
 *
 *   | flags 1 | gso_type 1 | hdr_len 2 | gso_size 2 | csum_start 2 | csum_offset 2 |
 *
 * With VNET_NEEDS_CSUM the checksum at csum_start + csum_offset of the frame holds the folded sum of the
 * pseudo-header, and the receiver has to add all bytes from csum_start on.
 */
const FLAGS = 0;
const GSO_TYPE = 1;
const HEADER_LENGTH = 2;
const GSO_SIZE = 4;
const CHECKSUM_START = 6;
const CHECKSUM_OFFSET = 8;

/** Bytes in the header. */
export const VNET_LENGTH = 10;

/** Flag: the checksum is partial. */
export const VNET_NEEDS_CSUM = 1;
/** Flag: the checksum has been verified. */
export const VNET_DATA_VALID = 2;

/** How a frame larger than the MTU is to be cut; `Ecn` is a bit beside the type. */
export const VnetGso = { None: 0, Tcp4: 1, Udp: 3, Tcp6: 4, UdpL4: 5, Ecn: 0x80 } as const;

const KNOWN_GSO =
  (1 << VnetGso.None) | (1 << VnetGso.Tcp4) | (1 << VnetGso.Udp) | (1 << VnetGso.Tcp6) | (1 << VnetGso.UdpL4);

/**
 * Tells whether `[at, end)` holds a header and a frame that agree: a partial checksum lies inside the frame, the
 * way of cutting is known and, if any, has a size.
 */
export function isVnetValid(view: DataView, at: number, end: number): boolean {
  const frameLength = end - at - VNET_LENGTH;
  if (frameLength < 0) return false;
  const needsChecksum = (vnetFlags(view, at) & VNET_NEEDS_CSUM) !== 0;
  if (needsChecksum && vnetChecksumStart(view, at) + vnetChecksumOffset(view, at) + 2 > frameLength)
    return false;
  const type = vnetGsoType(view, at) & ~VnetGso.Ecn;
  if (type > 31 || (KNOWN_GSO & (1 << type)) === 0) return false;
  return type === VnetGso.None || vnetGsoSize(view, at) > 0;
}

export const vnetFlags = (view: DataView, at: number): number => view.getUint8(at + FLAGS);
export const vnetGsoType = (view: DataView, at: number): number => view.getUint8(at + GSO_TYPE);
/** Bytes of all headers, a hint only. */
export const vnetHeaderLength = (view: DataView, at: number): number =>
  view.getUint16(at + HEADER_LENGTH, true);
/** Payload bytes of each packet after cutting. */
export const vnetGsoSize = (view: DataView, at: number): number => view.getUint16(at + GSO_SIZE, true);
/** Where the checksummed bytes begin, from the start of the frame. */
export const vnetChecksumStart = (view: DataView, at: number): number =>
  view.getUint16(at + CHECKSUM_START, true);
/** Where the checksum is, from the start of the checksummed bytes. */
export const vnetChecksumOffset = (view: DataView, at: number): number =>
  view.getUint16(at + CHECKSUM_OFFSET, true);

/** Writes a header; lengths and offsets in bytes. */
export function writeVnet(
  view: DataView,
  at: number,
  flags: number,
  gsoType: number,
  headerLength: number,
  gsoSize: number,
  checksumStart: number,
  checksumOffset: number,
): void {
  view.setUint8(at + FLAGS, flags);
  view.setUint8(at + GSO_TYPE, gsoType);
  view.setUint16(at + HEADER_LENGTH, headerLength, true);
  view.setUint16(at + GSO_SIZE, gsoSize, true);
  view.setUint16(at + CHECKSUM_START, checksumStart, true);
  view.setUint16(at + CHECKSUM_OFFSET, checksumOffset, true);
}
