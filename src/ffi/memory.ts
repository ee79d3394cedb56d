/**
 * Memory that never moves and is never collected, so that its address may be given to the kernel. Pages that
 * nobody touches cost nothing.
 */
import type { Arena } from "../base/arena.ts";
import {
  MAP_ANONYMOUS,
  MAP_FIXED_NOREPLACE,
  MAP_NORESERVE,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
} from "./constants.ts";
import { check } from "./errno.ts";
import { getrandom, mmap } from "./libc.ts";
import { errno, errnoAddress, viewMemory } from "./library.ts";

const PAGE = 4096;

/**
 * Where we look for memory: below 2^31, above the program and its heap. There an address is a small integer to V8,
 * which is passed without an allocation; one from elsewhere works too, at the price of collections.
 */
const LOWEST = 0x5000_0000;
const HIGHEST = 0x8000_0000;
/** How far to go on where something is in the way. */
const STEP = 16 << 20;
/** Pages among which the first one is chosen, so that nobody knows addresses in advance. */
const RANDOM_PAGES = 0x1_0000;
let next = LOWEST + PAGE * (randomWord() % RANDOM_PAGES);

/** There is no memory of ours yet, but that of errno, which nobody looks at now. */
function randomWord(): number {
  check(getrandom(errnoAddress, errno.byteLength), "getrandom");
  return errno[0] >>> 0;
}

/**
 * A new zeroed, page-aligned block of at least `length` bytes, rounded up to pages. It lives as long as the
 * process. Throws SysError.
 */
export function allocate(length: number): Arena {
  const size = Math.ceil(length / PAGE) * PAGE;
  const address = check(map(size), "mmap", `${size} bytes`);
  const buffer = viewMemory(address, size);
  return { address, bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

function map(size: number): number {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  for (; next + size <= HIGHEST; next += STEP) {
    const address = mmap(next, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (address < 0) continue;
    next = address + size;
    return address;
  }
  return mmap(0, size, PROT_READ | PROT_WRITE, flags, -1, 0);
}

/** One page for the arguments of calls that are rare. Valid until the next call that uses it. */
export const scratch: Arena = allocate(PAGE);

/** Unsigned 32-bit numbers that nobody can guess; at most 64. Throws SysError. */
export function randomWords(count: number): Uint32Array {
  check(getrandom(scratch.address, 4 * count), "getrandom");
  return new Uint32Array(scratch.bytes.buffer, 0, count).slice();
}

/** Writes an address, size or other unsigned integer below 2^53 as a native 64-bit word. */
export function setWord(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** Reads a native unsigned 64-bit word; exact below 2^53. */
export function getWord(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}
