/**
 * IP and MAC addresses. An IP address is four big-endian 32-bit words in a Uint32Array, of its own or at an
 * index into a larger one; IPv4 is mapped into IPv6 (0, 0, 0xffff, address), so that one path serves both.
 * Classification allocates nothing; parsing and formatting are for the cold path.
 */

/** Words of an IP address. */
export const IP_WORDS = 4;
/** Bytes of a MAC address. */
export const MAC_LENGTH = 6;

/** The third word of an IPv4 address mapped into IPv6. */
const MAPPED = 0xffff;

/** An address and how many of its leading bits, counted in its own family (0 to 32 or 0 to 128), count. */
export interface Prefix {
  readonly address: Uint32Array;
  readonly length: number;
}

/** Tells whether the address is IPv4 (mapped into IPv6, RFC 4291 section 2.5.5.2). */
export const isIpv4 = (words: Uint32Array, at = 0): boolean =>
  words[at + 2] === MAPPED && words[at] === 0 && words[at + 1] === 0;

/** 0.0.0.0 or ::. */
export const isUnspecified = (words: Uint32Array, at = 0): boolean =>
  words[at + 3] === 0 &&
  words[at] === 0 &&
  words[at + 1] === 0 &&
  (words[at + 2] === 0 || words[at + 2] === MAPPED);

/** 127.0.0.0/8 or ::1. */
export const isLoopback = (words: Uint32Array, at = 0): boolean =>
  words[at] === 0 &&
  words[at + 1] === 0 &&
  (words[at + 2] === MAPPED ? words[at + 3] >>> 24 === 127 : words[at + 2] === 0 && words[at + 3] === 1);

/** 224.0.0.0/4 or ff00::/8. */
export const isMulticast = (words: Uint32Array, at = 0): boolean =>
  isIpv4(words, at) ? words[at + 3] >>> 28 === 0xe : words[at] >>> 24 === 0xff;

/** 169.254.0.0/16 or fe80::/10. */
export const isLinkLocal = (words: Uint32Array, at = 0): boolean =>
  isIpv4(words, at) ? words[at + 3] >>> 16 === 0xa9fe : words[at] >>> 22 === 0x3fa;

/** 255.255.255.255, the broadcast address that needs no netmask to be known. */
export const isBroadcast4 = (words: Uint32Array, at = 0): boolean =>
  words[at + 3] === 0xffffffff && isIpv4(words, at);

/** Multicast or 255.255.255.255: packets to it are for many. */
export const isGroup = (words: Uint32Array, at = 0): boolean =>
  isMulticast(words, at) || isBroadcast4(words, at);

/** Neither unspecified, nor multicast, nor 255.255.255.255. */
export const isUnicast = (words: Uint32Array, at = 0): boolean =>
  !isUnspecified(words, at) && !isGroup(words, at);

/** Tells whether two addresses are equal. */
export const sameIp = (a: Uint32Array, aAt: number, b: Uint32Array, bAt: number): boolean =>
  a[aAt + 3] === b[bAt + 3] && a[aAt + 2] === b[bAt + 2] && a[aAt + 1] === b[bAt + 1] && a[aAt] === b[bAt];

/** Copies an address. */
export function copyIp(to: Uint32Array, toAt: number, from: Uint32Array, fromAt: number): void {
  for (let i = 0; i < IP_WORDS; i++) to[toAt + i] = from[fromAt + i];
}

/** The address for an IPv4 address as a number in host order. */
export const ipv4Words = (value: number): Uint32Array => Uint32Array.of(0, 0, MAPPED, value);

/** The netmask of an IPv4 prefix of 0 to 32 bits, as a number in host order. */
export const netmask4 = (length: number): number => (length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0);

/** The address with all but the first `length` bits of its family cleared. */
export function networkOf(address: Uint32Array, length: number): Uint32Array {
  const bits = isIpv4(address) ? length + 96 : length;
  return address.map((word, i) => (word & netmask4(clamp(bits - 32 * i))) >>> 0);
}

/** Tells whether an address is in a prefix of its own family; an address of the other family never is. */
export function inPrefix(words: Uint32Array, prefix: Uint32Array, length: number): boolean {
  const v4 = isIpv4(words);
  if (v4 !== isIpv4(prefix)) return false;
  const bits = v4 ? length + 96 : length;
  for (let i = 0; i < IP_WORDS; i++) {
    if (((words[i] ^ prefix[i]) & netmask4(clamp(bits - 32 * i))) !== 0) return false;
  }
  return true;
}

/** How many bits of one word a prefix covers. */
const clamp = (bits: number): number => Math.min(Math.max(bits, 0), 32);

/** An address from its 4 or 16 bytes in network order. Throws RangeError for any other length. */
export function ipFromBytes(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length === 4) return ipv4Words(view.getUint32(0));
  if (bytes.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${bytes.length}`);
  return Uint32Array.of(view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12));
}

/** The 4 bytes of an IPv4 address or the 16 of an IPv6 address, in network order. */
export function ipToBytes(words: Uint32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  for (let i = 0; i < IP_WORDS; i++) view.setUint32(4 * i, words[i]);
  const bytes = new Uint8Array(view.buffer);
  return isIpv4(words) ? bytes.slice(12) : bytes;
}

/**
 * Parses an IPv4 dotted quad (four decimal numbers without leading zeros) or any text form of RFC 4291 section
 * 2.2; undefined for anything else. A zone ("%eth0") is not part of an address.
 */
export function parseIp(text: string): Uint32Array | undefined {
  if (text.includes(":")) return parseIpv6(text);
  const value = parseIpv4(text);
  return value === undefined ? undefined : ipv4Words(value);
}

const QUAD = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

function parseIpv4(text: string): number | undefined {
  const parts = QUAD.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((value, part) => value * 256 + part, 0);
}

function parseIpv6(text: string): Uint32Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0], halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1], true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const zeros = 8 - head.length - tail.length;
  // "::" stands for at least one group.
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined;
  const groups = [...head, ...Array<number>(zeros).fill(0), ...tail];
  return Uint32Array.from({ length: IP_WORDS }, (_, i) => groups[2 * i] * 0x10000 + groups[2 * i + 1]);
}

/** The 16-bit groups of one side of "::"; an IPv4 dotted quad may take the place of the last two. */
function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (/^[\da-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const quad = last && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (quad === undefined) return undefined;
    groups.push(quad >>> 16, quad & 0xffff);
  }
  return groups;
}

/** The canonical text of an address (RFC 5952); IPv4 as a dotted quad. */
export function formatIp(words: Uint32Array, at = 0): string {
  const low = words[at + 3];
  if (isIpv4(words, at)) return `${low >>> 24}.${(low >>> 16) & 255}.${(low >>> 8) & 255}.${low & 255}`;
  const groups = Array.from({ length: 8 }, (_, i) => (words[at + (i >> 1)] >>> (i & 1 ? 0 : 16)) & 0xffff);
  const text = groups.map((group) => group.toString(16));
  const zeros = longestZeroRun(groups);
  if (zeros.length < 2) return text.join(":");
  return `${text.slice(0, zeros.start).join(":")}::${text.slice(zeros.start + zeros.length).join(":")}`;
}

/** The longest run of zero groups, the first one among equals. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  const best = { start: 0, length: 0 };
  let length = 0;
  for (const [i, group] of groups.entries()) {
    length = group === 0 ? length + 1 : 0;
    if (length <= best.length) continue;
    best.start = i - length + 1;
    best.length = length;
  }
  return best;
}

/** Parses "address/length"; undefined unless the length fits the family. Bits behind the prefix are kept. */
export function parsePrefix(text: string): Prefix | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const address = match === null ? undefined : parseIp(match[1]);
  if (match === null || address === undefined) return undefined;
  // A mapped address written as IPv6 counts its bits from the start of the mapping.
  const mappedBits = isIpv4(address) && match[1].includes(":") ? 96 : 0;
  const length = Number(match[2]) - mappedBits;
  return length < 0 || length > (isIpv4(address) ? 32 : 128) ? undefined : { address, length };
}

/** Parses six two-digit hexadecimal bytes separated by ":" or by "-". */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[\da-f]{2}([:-])[\da-f]{2}(\1[\da-f]{2}){4}$/i.test(text)) return undefined;
  return Uint8Array.from({ length: MAC_LENGTH }, (_, i) => Number.parseInt(text.slice(3 * i, 3 * i + 2), 16));
}

/** The six bytes of a MAC address as lower-case "aa:bb:cc:dd:ee:ff". */
export const formatMac = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, MAC_LENGTH), (byte) => byte.toString(16).padStart(2, "0")).join(":");
