/** What DHCP for IPv4 and for IPv6 have in common: options to be written. Cold path. */

/** The value of an option in pieces, in order of importance: where not all fit, those behind are left out. */
export interface DhcpOption {
  code: number;
  /** None: the option is empty, which says something too. */
  parts: readonly Uint8Array[];
}

export const dhcpOption = (code: number, ...parts: Uint8Array[]): DhcpOption => ({ code, parts });

/**
 * The bytes of as many leading parts as fit; undefined when there are parts and not even the first one fits.
 * @param room whether an option with a value of so many bytes fits
 */
export function fittingValue(
  { parts }: DhcpOption,
  fits: (length: number) => boolean,
): Uint8Array | undefined {
  let [count, length] = [0, 0];
  while (count < parts.length && fits(length + parts[count].length)) length += parts[count++].length;
  if (count === 0 && (parts.length > 0 || !fits(0))) return undefined;
  return concatBytes(parts.slice(0, count));
}

/** The bytes of all parts behind each other. */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Numbers of 32 bits in network order. */
export function wordBytes(words: ArrayLike<number>): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * words.length));
  for (let i = 0; i < words.length; i++) view.setUint32(4 * i, words[i]);
  return new Uint8Array(view.buffer);
}
