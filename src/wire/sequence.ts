/**
 * TCP sequence numbers: unsigned 32-bit numbers modulo 2^32 (RFC 9293 section 3.4). Order is that of the signed
 * distance, so it holds between numbers less than 2^31 apart.
 */

/** `a` advanced by `n`, which may be negative. */
export const seqAdd = (a: number, n: number): number => (a + n) >>> 0;

/** How far `a` is ahead of `b`: -2^31 to 2^31 - 1. */
export const seqDiff = (a: number, b: number): number => (a - b) | 0;

export const seqLt = (a: number, b: number): boolean => ((a - b) | 0) < 0;
export const seqLe = (a: number, b: number): boolean => ((a - b) | 0) <= 0;
export const seqGt = (a: number, b: number): boolean => ((a - b) | 0) > 0;
export const seqGe = (a: number, b: number): boolean => ((a - b) | 0) >= 0;
