import { expect, test } from "@jest/globals";
import { findProgram, requireTool } from "../../../src/runtime/tools.ts";

test("programs are found along the path given, then where systems keep them", () => {
  expect(findProgram("sh", undefined)).toMatch(/\/sh$/);
  expect(findProgram("sh", "/nonexistent::/bin")).toBe("/bin/sh");
  expect(findProgram("/bin/sh", undefined)).toBe("/bin/sh");
});

test("what cannot be executed is not found", () => {
  expect(findProgram("/etc/passwd", undefined)).toBeUndefined();
  expect(findProgram("/etc", undefined)).toBeUndefined();
  expect(findProgram("no-such-program", process.env["PATH"])).toBeUndefined();
  expect(() => requireTool("no-such-program")).toThrow("cannot find the program no-such-program");
});
