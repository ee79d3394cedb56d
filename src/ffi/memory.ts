/**
 * Memory that never moves and is never collected, so that its address may be given to the kernel. Pages that
 * nobody touches cost nothing.
 */
import type { Arena } from "../base/arena.ts";
import { MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "./constants.ts";
import { check } from "./errno.ts";
import { mmap } from "./libc.ts";
import { viewMemory } from "./library.ts";

const PAGE = 4096;

/**
 * A new zeroed, page-aligned block of at least `length` bytes, rounded up to pages. It lives as long as the
 * process. Throws SysError.
 */
export function allocate(length: number): Arena {
  const size = Math.ceil(length / PAGE) * PAGE;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  const address = check(mmap(0, size, PROT_READ | PROT_WRITE, flags, -1, 0), "mmap", `${size} bytes`);
  const buffer = viewMemory(address, size);
  return { address, bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

/** One page for the arguments of calls that are rare. Valid until the next call that uses it. */
export const scratch: Arena = allocate(PAGE);

/** Writes an address, size or other unsigned integer below 2^53 as a native 64-bit word. */
export function setWord(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Reads a native unsigned 64-bit word; exact below 2^53. */
export function getWord(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}
