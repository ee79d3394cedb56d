/** Packets of tests, written as hexadecimal with comments. */

/** The bytes of `text`: "//" starts a comment that ends with the line, spaces do not matter. */
export function hex(text: string): DataView {
  const digits = text.replace(/\/\/.*$/gm, "").replace(/\s+/g, "");
  if (!/^([\da-f]{2})*$/i.test(digits)) throw new Error(`not hexadecimal: ${digits}`);
  return new DataView(Uint8Array.from(Buffer.from(digits, "hex")).buffer);
}

/** The bytes of `view` as hexadecimal without spaces. */
export const hexOf = (view: DataView): string =>
  Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("hex");

/** A copy of the first `length` bytes in memory of exactly that size, so that reading further throws. */
export const truncated = (view: DataView, length: number): DataView =>
  new DataView(view.buffer.slice(view.byteOffset, view.byteOffset + length) as ArrayBuffer);

/** The lengths below `length` for which `isValid`, given only that many bytes of `view`, answers true. */
export function validTruncations(
  view: DataView,
  isValid: (view: DataView, at: number, end: number) => boolean,
  length: number = view.byteLength,
): number[] {
  return Array.from({ length }, (_, n) => n).filter((n) => isValid(truncated(view, n), 0, n));
}
