/** An XDG_RUNTIME_DIR of their own for the tests of a file, a fresh one for each. */
import { afterEach, beforeEach } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Gives the path while a test runs. */
export function useRuntimeDirectory(): () => string {
  const before = process.env["XDG_RUNTIME_DIR"];
  let runtime = "";
  beforeEach(() => {
    runtime = mkdtempSync(join(tmpdir(), "bucatini-test-"));
    process.env["XDG_RUNTIME_DIR"] = runtime;
  });
  afterEach(() => {
    rmSync(runtime, { recursive: true });
    if (before === undefined) delete process.env["XDG_RUNTIME_DIR"];
    else process.env["XDG_RUNTIME_DIR"] = before;
  });
  return () => runtime;
}
