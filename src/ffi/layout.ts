/** Offsets of C structures, worked out from their fields as the C compiler does, and proved by their known size. */
import { assert } from "../base/assert.ts";

/** A field: an unsigned integer of so many bits, aligned to itself, or that many bytes. */
type Field = "u8" | "u16" | "u32" | "u64" | number;
const SIZES = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;

/** The size of a structure and the offset of each field, in bytes. */
export type Layout<Name extends string> = Readonly<Record<Name | "size", number>>;

/**
 * Lays out a structure. Throws when it does not come to `size` bytes.
 * @param packed fields follow each other without gaps
 */
export function struct<Name extends string>(
  name: string,
  size: number,
  fields: Record<Name, Field>,
  packed = false,
): Layout<Name> {
  const offsets: Record<string, number> = {};
  let at = 0;
  let alignment = 1;
  for (const [field, type] of Object.entries<Field>(fields)) {
    const length = typeof type === "number" ? type : SIZES[type];
    const step = packed || typeof type === "number" ? 1 : length;
    at = roundUp(at, step);
    offsets[field] = at;
    at += length;
    alignment = Math.max(alignment, step);
  }
  at = roundUp(at, alignment);
  assert(at === size, `struct ${name} has ${at} bytes where the system has ${size}`);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the loop above set every field
  return { ...offsets, size } as Layout<Name>;
}

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;
