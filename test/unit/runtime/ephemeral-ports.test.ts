import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ephemeralPorts } from "../../../src/runtime/ephemeral-ports.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bucatini-test-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

test("the range is the one in force", () => {
  const { first, last } = ephemeralPorts();
  expect(first).toBeGreaterThan(0);
  expect(last).toBeGreaterThanOrEqual(first);
  const path = join(directory, "range");
  writeFileSync(path, "40000\t50000\n");
  expect(ephemeralPorts(path)).toEqual({ first: 40_000, last: 50_000 });
});

test("without one there are the dynamic ports of RFC 6335", () => {
  const path = join(directory, "range");
  expect(ephemeralPorts(path)).toEqual({ first: 49_152, last: 65_535 });
  writeFileSync(path, "nonsense\n");
  expect(ephemeralPorts(path)).toEqual({ first: 49_152, last: 65_535 });
});
