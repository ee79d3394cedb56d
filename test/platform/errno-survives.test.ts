/** We rely on: errno of a call is still there when the function that made the call reads it. */
import { expect, test } from "@jest/globals";
import { EBADF, ENOENT } from "../../src/ffi/constants.ts";
import { open, read } from "../../src/ffi/libc.ts";
import { scratch } from "../../src/ffi/memory.ts";

test("errno of a failing call is right every time, also under collections", () => {
  const garbage: unknown[] = [];
  for (let i = 0; i < 50_000; i++) {
    if (read(-1, scratch.address, 1) !== -EBADF) throw new Error(`wrong errno in round ${i}`);
    if (open("/nonexistent/file", 0) !== -ENOENT) throw new Error(`wrong errno in round ${i}`);
    garbage[i % 1000] = { text: `${i}`.repeat(20), bytes: new Uint8Array(64) };
  }
  expect(garbage).toHaveLength(1000);
});
