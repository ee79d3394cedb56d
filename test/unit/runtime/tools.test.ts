import { expect, test } from "@jest/globals";
import { findCommand, findProgram, requireTool } from "../../../src/runtime/tools.ts";

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

test("a command is looked for in PATH alone, as shells do", () => {
  expect(findCommand("sh", "/nonexistent")).toBeUndefined();
  expect(findCommand("sh", "/nonexistent:/bin")).toBe("/bin/sh");
  expect(findCommand("sh", undefined)).toMatch(/\/sh$/);
  expect(findCommand("/bin/sh", "/nonexistent")).toBe("/bin/sh");
  const before = process.cwd();
  try {
    process.chdir("/bin");
    expect(findCommand("sh", "")).toBe("sh");
  } finally {
    process.chdir(before);
  }
});
