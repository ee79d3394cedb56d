import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { LOG_LEVELS, type LogLevel, isLogLevel } from "../../../src/log/level.ts";
import { createLogger } from "../../../src/log/logger.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "log-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

type Line = Record<string, unknown>;
const parse = (text: string): Line[] =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

/** A named pipe: the end to read from, and a descriptor to write to. */
function pipe(): { reader: number; writer: number } {
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY) };
}

/** Everything in the pipe. */
function drain(reader: number): string {
  const bytes = Buffer.alloc(1 << 20);
  return bytes.toString("utf8", 0, readSync(reader, bytes));
}

test("each message is one line of JSON with level, time, fields and text", () => {
  const path = join(directory, "log");
  const log = createLogger({ level: "info", destination: path });
  log.info("ready", { fd: 7 });
  log.warn('a "quoted"\nline %d');
  log.error("failed", { err: new Error("why") });
  const lines = parse(readFileSync(path, "utf8"));
  expect(lines).toEqual([
    { level: "info", time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), fd: 7, msg: "ready" },
    { level: "warn", time: expect.anything(), msg: 'a "quoted"\nline %d' },
    {
      level: "error",
      time: expect.anything(),
      err: expect.objectContaining({ message: "why" }),
      msg: "failed",
    },
  ]);
});

test("a file is appended to and is nobody else's to read", () => {
  const path = join(directory, "log");
  createLogger({ level: "info", destination: path }).info("one");
  createLogger({ level: "info", destination: path }).info("two");
  expect(parse(readFileSync(path, "utf8")).map((line) => line["msg"])).toEqual(["one", "two"]);
  expect(execFileSync("stat", ["-c", "%a", path], { encoding: "utf8" })).toBe("600\n");
});

test.each(Object.keys(LOG_LEVELS) as LogLevel[])("at level %s, only that and worse is written", (level) => {
  const path = join(directory, "log");
  const log = createLogger({ level, destination: path });
  const levels = Object.keys(LOG_LEVELS) as LogLevel[];
  for (const each of levels) log[each](each);
  const written = parse(readFileSync(path, "utf8")).map((line) => line["level"]);
  expect(written).toEqual(levels.filter((each) => LOG_LEVELS[each] >= LOG_LEVELS[level]));
  expect(log.traceOn).toBe(written.includes("trace"));
  expect(log.debugOn).toBe(written.includes("debug"));
});

test("the level can change", () => {
  const path = join(directory, "log");
  const log = createLogger({ level: "info", destination: path });
  log.debug("before");
  log.setLevel("debug");
  log.debug("then");
  expect([log.debugOn, log.traceOn]).toEqual([true, false]);
  log.setLevel("error");
  log.info("after");
  expect(parse(readFileSync(path, "utf8")).map((line) => line["msg"])).toEqual(["then"]);
});

test("a full disk is no reason to stop", () => {
  const fd = openSync("/dev/full", "w");
  const log = createLogger({ level: "info", destination: fd });
  for (let i = 0; i < 100; i++) expect(() => log.error("lost")).not.toThrow();
  closeSync(fd);
});

test("a closed pipe is no reason to stop", () => {
  const { reader, writer } = pipe();
  const log = createLogger({ level: "info", destination: writer });
  closeSync(reader);
  for (let i = 0; i < 100; i++) expect(() => log.error("lost")).not.toThrow();
  closeSync(writer);
});

test("a closed descriptor is no reason to stop", () => {
  const fd = openSync(join(directory, "log"), "w");
  const log = createLogger({ level: "info", destination: fd });
  closeSync(fd);
  expect(() => log.error("lost")).not.toThrow();
});

test("a reader that has stopped loses lines instead of stopping us, and learns how many", () => {
  const { reader, writer } = pipe();
  const log = createLogger({ level: "info", destination: writer });
  for (let i = 0; i < 200; i++) log.info("x".repeat(10_000), { i });
  const before = drain(reader).split("\n");
  log.info("next");
  log.info("last");
  const after = drain(reader).split("\n");

  // At most one line has been cut, and it does not run into the next.
  const whole = before.slice(0, -1).map((line) => JSON.parse(line) as Line);
  const numbers = whole.map((line) => line["i"]);
  expect(numbers).toEqual(numbers.map((_, i) => i));
  expect(numbers.length).toBeGreaterThan(2);
  const [next, last] = after.slice(-3, -1).map((line) => JSON.parse(line) as Line);
  expect(next).toEqual({
    level: "info",
    time: expect.anything(),
    dropped: 200 - numbers.length,
    msg: "next",
  });
  expect(last).toEqual({ level: "info", time: expect.anything(), msg: "last" });
  closeSync(reader);
  closeSync(writer);
});

test("a file that cannot be opened is told at once", () => {
  expect(() => createLogger({ level: "info", destination: join(directory, "no", "log") })).toThrow("ENOENT");
});

test("levels are known by name", () => {
  expect(["trace", "debug", "info", "warn", "error"].every(isLogLevel)).toBe(true);
  expect(["", "INFO", "fatal", "toString", "__proto__"].some(isLogLevel)).toBe(false);
});
