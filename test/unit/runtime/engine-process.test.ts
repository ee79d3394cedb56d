import { expect, test } from "@jest/globals";
import { closeSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseError } from "../../../src/runtime/engine-process.ts";
import { openCapture, openLog } from "../../../src/runtime/output-files.ts";

test("a log starts with one line of JSON and is private", () => {
  const directory = mkdtempSync(join(tmpdir(), "bucatini-test-"));
  const path = join(directory, "log");
  closeSync(openLog(path, { id: "one" }));
  closeSync(openLog(path, { id: "two" }));
  const lines = readFileSync(path, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { id: "one" },
    { id: "two", level: "info" },
  ]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  rmSync(directory, { recursive: true });
});

test("a log that cannot be written is refused with the reason", () => {
  expect(() => openLog("/dev/full", {})).toThrow(
    "cannot write the log /dev/full: the disk is full; free space or choose another --log-file",
  );
  expect(() => openLog("/nonexistent/log", {})).toThrow("its directory does not exist");
});

test("an error crosses process borders as code and message", () => {
  expect(parseError('{"code":"NO_TUN","message":"no"}')).toMatchObject({
    code: "NO_TUN",
    message: "no",
    exitCode: 5,
  });
  for (const text of [
    "",
    "{}",
    "null",
    '{"code":"toString","message":"x"}',
    '{"code":"NO_TUN","message":1}',
  ]) {
    expect(parseError(text)).toBeUndefined();
  }
});
