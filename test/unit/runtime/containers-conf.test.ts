import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containersConf } from "../../../src/runtime/containers-conf.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bucatini-test-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(directory, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
};

test("a list may take several lines, and comments do not count", () => {
  const text =
    '[engine]\n# helper_binaries_dir = ["/no"]\n  helper_binaries_dir = [\n  "/a",\n  "/b b",\n]\n';
  const env = { CONTAINERS_CONF: file("one.conf", text) };
  expect(containersConf("helper_binaries_dir", env)).toEqual(["/a", "/b b"]);
  expect(containersConf("hooks_dir", env)).toBeUndefined();
  expect(containersConf("binaries_dir", env)).toBeUndefined();
});

test("an empty list is one, and a missing file says nothing", () => {
  const env = { CONTAINERS_CONF: file("one.conf", "hooks_dir = []") };
  expect(containersConf("hooks_dir", env)).toEqual([]);
  expect(containersConf("hooks_dir", { CONTAINERS_CONF: join(directory, "none") })).toBeUndefined();
});
