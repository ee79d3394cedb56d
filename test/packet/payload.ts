/** Payloads that tell where in a stream they belong. */

/** Bytes of a stream from `offset` on; `seed` tells the directions apart. */
export const streamBytes = (offset: number, length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => ((offset + i) * 31 + ((offset + i) >> 8) * 7 + seed) & 255);

/** Seeds for what the container says and what the outside says. */
export const FROM_CONTAINER = 1;
export const TO_CONTAINER = 100;

/** Datagrams that each begin the pattern anew. */
export function trainBytes(length: number, segment: number, seed = FROM_CONTAINER): Uint8Array {
  if (segment === 0) return streamBytes(0, length, seed);
  return Uint8Array.from({ length }, (_, i) => streamBytes(i % segment, 1, seed)[0]);
}
