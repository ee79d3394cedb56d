import { expect, test } from "@jest/globals";
import { struct } from "../../../src/ffi/layout.ts";

test("fields are aligned to themselves and the whole to its largest field", () => {
  const layout = struct("example", 32, { a: "u8", b: "u32", c: "u8", d: "u64", e: "u16" });
  expect(layout).toEqual({ size: 32, a: 0, b: 4, c: 8, d: 16, e: 24 });
});

test("byte arrays need no alignment", () => {
  expect(struct("example", 12, { a: "u8", name: 6, b: "u32" })).toEqual({ size: 12, a: 0, name: 1, b: 8 });
});

test("packed fields follow each other", () => {
  expect(struct("example", 12, { a: "u32", b: "u64" }, true)).toEqual({ size: 12, a: 0, b: 4 });
});

test("a size that is not the system's is refused, with the name of the structure", () => {
  expect(() => struct("example", 10, { a: "u32", b: "u64" })).toThrow("struct example has 16 bytes");
});
