/**
 * IPv6 extension headers (RFC 8200 section 4). Most have one form (RFC 6564): next header, length in units of 8
 * bytes not counting the first 8, data. Two have their own: the fragment header is 8 bytes without a length, and
 * the authentication header counts units of 4 bytes, not counting the first 8 bytes (RFC 4302 section 2.2).
 *
 * Fragment header:
 *
 *    0               8              16                    29 31
 *   | next header   |   reserved    |  fragment offset    |r|M|
 *   |                     identification                      |
 */
const NEXT_HEADER = 0;
const LENGTH = 1;
const FRAGMENT = 2;
const FRAGMENT_ID = 4;

/** Bytes in a fragment header. */
export const IPV6_FRAGMENT_LENGTH = 8;

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT_HEADER = 44;
const AUTHENTICATION = 51;
const NO_NEXT_HEADER = 59;
const DESTINATION_OPTIONS = 60;
const MOBILITY = 135;
const HIP = 139;
const SHIM6 = 140;
const EXPERIMENT_1 = 253;
const EXPERIMENT_2 = 254;

/** No packet in use has more; a longer chain is an attempt to keep us busy. */
const MAXIMUM_HEADERS = 8;

/** What the last call of `walkExtensions` found. */
export const walked = {
  /** Protocol of the upper-layer header; of a fragment, the next header its fragment header names. */
  protocol: 0,
  /**
   * Offset of the fragment header, or -1. An atomic fragment, which is the whole packet (RFC 6946), is no
   * fragment here.
   */
  fragmentAt: -1,
};

/**
 * Finds the upper-layer header of a packet that passed `isIpv6Valid`. `at` is the end of the IPv6 header, and
 * `nextHeader` what it names. Returns the offset of the upper-layer header, at most `end`, and fills `walked`;
 * returns -1 when the chain is malformed, too long, or ends in "no next header". At a fragment header the walk
 * ends, and the offset is that of the fragment's data.
 */
export function walkExtensions(view: DataView, at: number, nextHeader: number, end: number): number {
  let header = nextHeader;
  let offset = at;
  walked.fragmentAt = -1;
  for (let count = 0; count <= MAXIMUM_HEADERS; count++) {
    walked.protocol = header;
    if (header === NO_NEXT_HEADER) return -1;
    // Hop-by-hop options may only come first (RFC 8200 section 4.1).
    if (header === HOP_BY_HOP && count > 0) return -1;
    if (!isExtension(header)) return offset;
    if (offset + 8 > end) return -1;
    const length = extensionLength(view, offset, header);
    if (offset + length > end) return -1;
    const fragment = header === FRAGMENT_HEADER && isRealFragment(view, offset);
    header = view.getUint8(offset + NEXT_HEADER);
    if (fragment) {
      walked.protocol = header;
      walked.fragmentAt = offset;
      return offset + length;
    }
    offset += length;
  }
  return -1;
}

/** Where this fragment belongs in the fragmentable part, in bytes. `at` is the fragment header. */
export const ipv6FragmentOffset = (view: DataView, at: number): number =>
  view.getUint16(at + FRAGMENT) & 0xfff8;
export const ipv6MoreFragments = (view: DataView, at: number): boolean =>
  (view.getUint16(at + FRAGMENT) & 1) !== 0;
/** 32 bits, unlike that of IPv4. */
export const ipv6FragmentId = (view: DataView, at: number): number => view.getUint32(at + FRAGMENT_ID);
/** Protocol of the first header of the fragmentable part. */
export const ipv6FragmentNextHeader = (view: DataView, at: number): number => view.getUint8(at + NEXT_HEADER);

/** The upper layer behind ESP (50) cannot be seen, so ESP is itself an upper layer. */
function isExtension(header: number): boolean {
  switch (header) {
    case HOP_BY_HOP:
    case ROUTING:
    case FRAGMENT_HEADER:
    case AUTHENTICATION:
    case DESTINATION_OPTIONS:
    case MOBILITY:
    case HIP:
    case SHIM6:
    case EXPERIMENT_1:
    case EXPERIMENT_2:
      return true;
    default:
      return false;
  }
}

function extensionLength(view: DataView, at: number, header: number): number {
  if (header === FRAGMENT_HEADER) return IPV6_FRAGMENT_LENGTH;
  const units = view.getUint8(at + LENGTH);
  return header === AUTHENTICATION ? 4 * units + 8 : 8 * units + 8;
}

/** Tells a part of a packet from a whole packet that merely has a fragment header. */
const isRealFragment = (view: DataView, at: number): boolean =>
  ipv6FragmentOffset(view, at) !== 0 || ipv6MoreFragments(view, at);
