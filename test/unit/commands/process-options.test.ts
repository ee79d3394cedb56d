import { resolve } from "node:path";
import { expect, test } from "@jest/globals";
import { PROCESS_OPTIONS, processOptions, STATS_OPTION } from "../../../src/commands/process-options.ts";
import { parseArguments } from "../../../src/config/command-line.ts";
import type { ProcessOptions } from "../../../src/config/options.ts";

const FOREGROUND = { name: "foreground", short: "f", help: "" };
const ask = (...args: string[]): ProcessOptions =>
  processOptions(parseArguments(args, [...PROCESS_OPTIONS, STATS_OPTION, FOREGROUND]));

test("nothing asked for gives nothing", () => {
  expect(ask()).toEqual({});
});

test("files are named from here, whatever directory the engine works in", () => {
  expect(ask("--log-file", "log", "--capture", "/tmp/../pcap")).toEqual({
    logFile: resolve("log"),
    captureFile: "/pcap",
  });
});

test("a log has some size at least", () => {
  expect(ask("--log-limit", "1m")).toEqual({ logLimit: 1_048_576 });
  expect(ask("--log-limit", "40960")).toEqual({ logLimit: 40_960 });
  expect(() => ask("--log-limit", "39K")).toThrow("--log-limit 39K: a log needs 40960 bytes at least");
  for (const bad of ["", "1mb", "-1", "1.5m", "much"]) {
    expect(() => ask(`--log-limit=${bad}`)).toThrow(`--log-limit ${bad}: not a number of bytes`);
  }
});

test("statistics are for somebody who is there", () => {
  expect(ask("--stats", "5", "-f")).toEqual({ statsSeconds: 5 });
  expect(() => ask("--stats", "5")).toThrow("--stats prints to the terminal, which takes --foreground");
  for (const bad of ["0", "1.5", "100000", "x"]) {
    expect(() => ask("--stats", bad, "-f")).toThrow(`--stats ${bad}: not a number of seconds`);
  }
});
