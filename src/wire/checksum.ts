/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words. A sum is
 * carried as an ordinary number until it is folded: 32-bit words are added, which is the same modulo 65,535, and
 * 2 MiB of them stay far below 2^53. Partial sums of pieces simply add up, as long as only the last piece has
 * an odd length.
 */

/**
 * Adds `length` bytes at `at` to `initial`. Any alignment; an odd last byte counts as if a zero followed.
 * Returns an unfolded sum.
 */
export function sumBytes(view: DataView, at: number, length: number, initial = 0): number {
  // Four sums, so that an addition need not wait for the one before.
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  const end = at + length;
  let next = at;
  for (; next + 16 <= end; next += 16) {
    a += view.getUint32(next);
    b += view.getUint32(next + 4);
    c += view.getUint32(next + 8);
    d += view.getUint32(next + 12);
  }
  let sum = initial + a + b + c + d;
  for (; next + 4 <= end; next += 4) sum += view.getUint32(next);
  if (next + 2 <= end) {
    sum += view.getUint16(next);
    next += 2;
  }
  return next < end ? sum + (view.getUint8(next) << 8) : sum;
}

/** The 16-bit one's complement sum, not inverted; 0 only for a sum of 0. */
export function fold(sum: number): number {
  let folded = (sum >>> 0) + Math.floor(sum / 0x1_0000_0000);
  folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000);
  folded = (folded & 0xffff) + (folded >>> 16);
  return (folded & 0xffff) + (folded >>> 16);
}

/** The 16-bit checksum for a sum: its fold, inverted. */
export const checksum = (sum: number): number => ~fold(sum) & 0xffff;

/**
 * Sum of the IPv4 pseudo-header (RFC 9293 section 3.1). Addresses as numbers; `length` is that of the upper-layer
 * header and its payload in bytes.
 */
export const pseudo4 = (source: number, destination: number, protocol: number, length: number): number =>
  source + destination + protocol + length;

/** Sum of the IPv6 pseudo-header (RFC 8200 section 8.1), with both addresses read from a frame. */
export const pseudo6 = (
  view: DataView,
  sourceAt: number,
  destinationAt: number,
  protocol: number,
  length: number,
): number => sumBytes(view, destinationAt, 16, sumBytes(view, sourceAt, 16, protocol + length));
