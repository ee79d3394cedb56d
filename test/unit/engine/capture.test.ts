import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Count, Counters } from "../../../src/base/counters.ts";
import { Capture } from "../../../src/engine/capture.ts";
import { allocate } from "../../../src/ffi/memory.ts";
import { openCapture } from "../../../src/runtime/output-files.ts";
import { PCAP_LENGTH, PCAP_RECORD_LENGTH } from "../../../src/wire/pcap.ts";

let directory = "";
let path = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "capture-"));
  path = join(directory, "pcap");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("frames are written as they are, each with the time of day", () => {
  const fd = openCapture(path);
  const { address, bytes } = allocate(65_549);
  bytes.forEach((_, i) => (bytes[i] = i % 251));
  const capture = new Capture(fd, new Counters());
  const before = Date.now();
  capture.frame(address + 10, 60);
  capture.frame(address, 65_549);
  closeSync(fd);
  const file = readFileSync(path);
  const [first, second] = [PCAP_LENGTH, PCAP_LENGTH + PCAP_RECORD_LENGTH + 60];
  expect(file.length).toBe(second + PCAP_RECORD_LENGTH + 65_549);
  for (const at of [first, second]) {
    const time = file.readUInt32LE(at) * 1000 + file.readUInt32LE(at + 4) / 1000;
    expect(Math.abs(time - before)).toBeLessThan(1000);
  }
  const frame = (at: number): Buffer =>
    file.subarray(at + PCAP_RECORD_LENGTH, at + PCAP_RECORD_LENGTH + file.readUInt32LE(at + 8));
  expect(frame(first).equals(bytes.subarray(10, 70))).toBe(true);
  expect(frame(second).equals(bytes.subarray(0, 65_549))).toBe(true);
});

test("a frame that cannot be written is counted", () => {
  const fd = openCapture(path);
  const counters = new Counters();
  const capture = new Capture(fd, counters);
  closeSync(fd);
  capture.frame(allocate(60).address, 60);
  expect(counters.values[Count.captureLost]).toBe(1);
});

test("a disk that is full is told at once", () => {
  const fd = openSync("/dev/full", "w");
  expect(() => new Capture(fd, new Counters())).toThrow("cannot write the capture: ENOSPC; free space");
  closeSync(fd);
});
