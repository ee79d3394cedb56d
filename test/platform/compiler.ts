/** What the C compiler of this machine says of the system's headers. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Whether there is one. */
export const hasCompiler = spawnSync("cc", ["--version"]).status === 0;

/** The values of C expressions that are integers. */
export function evaluate(expressions: readonly string[], headers: readonly string[]): number[] {
  const directory = mkdtempSync(join(tmpdir(), "bucatini-cc-"));
  try {
    const program = join(directory, "program");
    const includes = ["stdio.h", ...headers].map((name) => `#include <${name}>`).join("\n");
    const prints = expressions.map((text) => `printf("%ld\\n", (long)(${text}));`).join("\n");
    const source = `#define _GNU_SOURCE\n${includes}\nint main(void) {\n${prints}\nreturn 0; }\n`;
    execFileSync("cc", ["-x", "c", "-o", program, "-"], { input: source });
    return execFileSync(program, { encoding: "utf8" }).trim().split("\n").map(Number);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
