/**
 * Neighbour discovery (RFC 4861): solicitations and neighbour advertisements. They are ICMPv6 messages, so that
 * type, code and checksum are those of icmp6.ts, and `sealIcmp6` ends each of them. Router advertisements are in
 * router-advertisement.ts.
 *
 *   RS:     | type 1 | code 1 | checksum 2 | reserved 4 | options |
 *   NS, NA: | type 1 | code 1 | checksum 2 | NA: flags 1 | reserved 3 | target 16 | options |
 *   option: | type 1 | length 1, in units of 8 bytes | value |
 *
 * Who receives one must also have seen hop limit 255 in its IPv6 header: only then it was sent on this link.
 */
const TYPE = 0;
const CODE = 1;
const FLAGS = 4;

const SOLICITATION_OPTIONS = 8;
const NEIGHBOR_OPTIONS = 24;

/** Hop limit of every message. */
export const NDP_HOP_LIMIT = 255;
/** Where the target address is in a neighbour solicitation or advertisement. */
export const NDP_TARGET = 8;

/** ICMPv6 types. */
export const NdpType = {
  RouterSolicitation: 133,
  RouterAdvertisement: 134,
  NeighborSolicitation: 135,
  NeighborAdvertisement: 136,
} as const;

/** Flags of a neighbour advertisement. */
export const NeighborFlag = { Router: 0x80, Solicited: 0x40, Override: 0x20 } as const;

/** Types of options (RFC 4861 section 4.6, RFC 4191 section 2.3, RFC 8106 section 5). */
export const NdpOption = {
  SourceLinkLayer: 1,
  TargetLinkLayer: 2,
  Prefix: 3,
  Mtu: 5,
  Route: 24,
  Rdnss: 25,
  Dnssl: 31,
} as const;

/** Tells whether `[at, end)` holds a router solicitation with well-formed options (RFC 4861 section 6.1.1). */
export const isRouterSolicitationValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= SOLICITATION_OPTIONS &&
  view.getUint16(at + TYPE) === NdpType.RouterSolicitation << 8 &&
  areNdpOptionsValid(view, at + SOLICITATION_OPTIONS, end);

/**
 * Tells whether `[at, end)` holds a neighbour solicitation for a unicast address with well-formed options
 * (RFC 4861 section 7.1.1).
 */
export const isNeighborSolicitationValid = (view: DataView, at: number, end: number): boolean =>
  isNeighborMessageValid(view, at, end, NdpType.NeighborSolicitation);

/** The same for a neighbour advertisement (RFC 4861 section 7.1.2). */
export const isNeighborAdvertisementValid = (view: DataView, at: number, end: number): boolean =>
  isNeighborMessageValid(view, at, end, NdpType.NeighborAdvertisement);

function isNeighborMessageValid(view: DataView, at: number, end: number, type: number): boolean {
  return (
    end - at >= NEIGHBOR_OPTIONS &&
    view.getUint8(at + TYPE) === type &&
    view.getUint8(at + CODE) === 0 &&
    view.getUint8(at + NDP_TARGET) !== 0xff &&
    areNdpOptionsValid(view, at + NEIGHBOR_OPTIONS, end)
  );
}

/** Bits of NeighborFlag, and reserved ones, of a neighbour advertisement. */
export const neighborFlags = (view: DataView, at: number): number => view.getUint8(at + FLAGS);

/** Offset of the link-layer address (6 bytes) that a neighbour solicitation gives for its sender, or -1. */
export const neighborSourceMacAt = (view: DataView, at: number, end: number): number =>
  macAt(view, at + NEIGHBOR_OPTIONS, end, NdpOption.SourceLinkLayer);

/** Offset of the link-layer address (6 bytes) that a neighbour advertisement gives for its target, or -1. */
export const neighborTargetMacAt = (view: DataView, at: number, end: number): number =>
  macAt(view, at + NEIGHBOR_OPTIONS, end, NdpOption.TargetLinkLayer);

/** Offset of the link-layer address (6 bytes) that a router solicitation gives for its sender, or -1. */
export const solicitationSourceMacAt = (view: DataView, at: number, end: number): number =>
  macAt(view, at + SOLICITATION_OPTIONS, end, NdpOption.SourceLinkLayer);

function macAt(view: DataView, optionsAt: number, end: number, type: number): number {
  const option = ndpOption(view, optionsAt, end, type);
  return option === -1 ? -1 : option + 2;
}

/** Tells whether options fill `[at, end)` exactly, none of them empty. */
export function areNdpOptionsValid(view: DataView, at: number, end: number): boolean {
  let option = at;
  while (option + 8 <= end && ndpOptionLength(view, option) !== 0) option += ndpOptionLength(view, option);
  return option === end;
}

/** Offset of the first option of a type at or behind `at`, or -1. The options up to `end` must be valid. */
export function ndpOption(view: DataView, at: number, end: number, type: number): number {
  for (let option = at; option < end; option += ndpOptionLength(view, option)) {
    if (view.getUint8(option) === type) return option;
  }
  return -1;
}

/** Bytes in an option: 0, which is malformed, or a multiple of 8. */
export const ndpOptionLength = (view: DataView, at: number): number => view.getUint8(at + 1) << 3;

/** Writes an option that holds a MAC address: 8 bytes. */
export function writeLinkLayerOption(view: DataView, at: number, type: number, mac: Uint8Array): void {
  view.setUint16(at, (type << 8) | 1);
  for (let i = 0; i < 6; i++) view.setUint8(at + 2 + i, mac[i]);
}

/**
 * Writes a neighbour solicitation that gives `mac` as the sender's. Returns its length in bytes; `sealIcmp6`
 * follows. Not for duplicate address detection, whose sender must not name itself.
 */
export function writeNeighborSolicitation(
  view: DataView,
  at: number,
  targetWords: Uint32Array,
  targetAt: number,
  mac: Uint8Array,
): number {
  writeNeighborMessage(view, at, NdpType.NeighborSolicitation, 0, targetWords, targetAt);
  writeLinkLayerOption(view, at + NEIGHBOR_OPTIONS, NdpOption.SourceLinkLayer, mac);
  return NEIGHBOR_OPTIONS + 8;
}

/**
 * Writes a neighbour advertisement that gives `mac` as the target's. `flags` are bits of NeighborFlag. Returns its
 * length in bytes; `sealIcmp6` follows.
 */
export function writeNeighborAdvertisement(
  view: DataView,
  at: number,
  flags: number,
  targetWords: Uint32Array,
  targetAt: number,
  mac: Uint8Array,
): number {
  writeNeighborMessage(view, at, NdpType.NeighborAdvertisement, flags, targetWords, targetAt);
  writeLinkLayerOption(view, at + NEIGHBOR_OPTIONS, NdpOption.TargetLinkLayer, mac);
  return NEIGHBOR_OPTIONS + 8;
}

function writeNeighborMessage(
  view: DataView,
  at: number,
  type: number,
  flags: number,
  targetWords: Uint32Array,
  targetAt: number,
): void {
  view.setUint32(at + TYPE, type << 24);
  view.setUint32(at + FLAGS, flags << 24);
  for (let i = 0; i < 4; i++) view.setUint32(at + NDP_TARGET + 4 * i, targetWords[targetAt + i]);
}
