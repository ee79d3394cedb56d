/**
 * Ethernet II header (IEEE 802.3 section 3.2.6). Big-endian.
 *
 *   | destination 6 | source 6 | EtherType 2 |
 */
const DESTINATION = 0;
const SOURCE = 6;
const TYPE = 12;

/** Bytes in an Ethernet header. */
export const ETHERNET_LENGTH = 14;
/** Bytes of the shortest frame, without its check sequence; shorter ones are padded with zeros. */
export const MINIMUM_FRAME = 60;

/** Offsets of both addresses, for callers that copy them. */
export const ETHERNET_DESTINATION = DESTINATION;
export const ETHERNET_SOURCE = SOURCE;

/** What a frame carries (IANA, IEEE 802 numbers). */
export const EtherType = { Ipv4: 0x0800, Arp: 0x0806, Ipv6: 0x86dd } as const;

/** Tells whether `[at, end)` holds a header, so that `etherType` stays in bounds. */
export const isEthernetValid = (_view: DataView, at: number, end: number): boolean =>
  end - at >= ETHERNET_LENGTH;

export const etherType = (view: DataView, at: number): number => view.getUint16(at + TYPE);

/** Writes a header; both addresses are 6 bytes. */
export function writeEthernet(
  view: DataView,
  at: number,
  destination: Uint8Array,
  source: Uint8Array,
  type: number,
): void {
  for (let i = 0; i < 6; i++) {
    view.setUint8(at + DESTINATION + i, destination[i]);
    view.setUint8(at + SOURCE + i, source[i]);
  }
  view.setUint16(at + TYPE, type);
}
