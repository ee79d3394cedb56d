import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { closeSync, mkdtempSync, readFileSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogSink } from "../../../src/log/sink.ts";
import { openCapture, openLimitedLog, openLog } from "../../../src/runtime/output-files.ts";

let directory = "";
let path = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bucatini-test-"));
  path = join(directory, "file");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("a log starts with one line of JSON and is private", () => {
  closeSync(openLog(path, { id: "one" }));
  closeSync(openLog(path, { id: "two" }));
  const lines = readFileSync(path, "utf8").trim().split("\n");
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { id: "one" },
    { id: "two", level: "info" },
  ]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a log that cannot be written is refused with the reason", () => {
  expect(() => openLog("/dev/full", {})).toThrow(
    "cannot write the log /dev/full: the disk is full; free space or choose another --log-file",
  );
  expect(() => openLog("/nonexistent/log", {})).toThrow("its directory does not exist");
});

test("a log with a limit can be read", () => {
  const log = openLog(path, { id: "one" });
  const limited = openLimitedLog(path, log);
  const first = Buffer.alloc(100);
  const length = readSync(limited, first, 0, 100, 0);
  expect(JSON.parse(first.toString("utf8", 0, length))).toMatchObject({ id: "one" });
  [log, limited].forEach((fd) => closeSync(fd));
});

test("what is no regular file has no limit", () => {
  const log = openLog("/dev/null", {});
  const limited = openLimitedLog("/dev/null", log);
  const sink = new LogSink(limited, 10);
  sink.write("longer than the limit\n");
  expect(sink.dropped).toBe(0);
  [log, limited].forEach((fd) => closeSync(fd));
});

test("a capture begins anew and is private", () => {
  writeFileSync(path, "something else", { mode: 0o600 });
  closeSync(openCapture(path));
  expect(statSync(path)).toMatchObject({ size: 0 });
  closeSync(openCapture(`${path}-2`));
  expect(statSync(`${path}-2`).mode & 0o777).toBe(0o600);
});

test.each([
  ["/nonexistent/capture", "its directory does not exist; choose another file"],
  ["/tmp", "it is a directory; choose another file"],
  ["/dev/null", "it is no regular file; choose another one"],
])("a capture in %s is refused with the reason", (where, why) => {
  expect(() => openCapture(where)).toThrow(`cannot write the capture ${where}: ${why}`);
});
