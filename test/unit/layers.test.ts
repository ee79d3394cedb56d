/** Keeps the direction of imports: the table is the documentation, and this test holds the code to it. */
import { expect, test } from "@jest/globals";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(__dirname, "../..");

/** Layers that each layer may import, besides itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  log: ["base"],
  wire: ["base"],
  flow: ["base"],
  ffi: ["base"],
  forward: ["base", "wire", "flow"],
  config: ["base"],
  kernel: ["base", "log", "ffi", "wire"],
  proto: ["base", "log", "wire", "flow", "forward"],
  follow: ["base", "log", "config", "kernel"],
  engine: ["base", "log", "wire", "flow", "forward", "ffi", "kernel", "follow", "proto", "config"],
  cni: ["base", "config"],
  oci: ["base", "config"],
  netavark: ["base", "config"],
  pasta: ["base", "config"],
  runtime: ["base", "log", "config", "kernel", "follow"],
  commands: ["base", "log", "config", "kernel", "runtime", "cni", "oci", "netavark", "pasta"],
  main: ["base", "config", "commands"],
};

/** Packages and built-in modules of each layer; a name with a colon at its end stands for all that start so. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  log: ["pino", "node:fs"],
  flow: ["node:crypto"],
  ffi: ["koffi", "node:os"],
  kernel: ["node:fs", "node:os", "node:path"],
  follow: ["node:fs", "node:os", "node:path"],
  engine: ["node:"],
  runtime: ["node:"],
  commands: ["node:"],
  main: ["node:"],
};

const IMPORT = /(?:^\s*(?:import|export)\b[^;"']*?\bfrom\s*|^\s*import\s+|\bimport\(\s*)["']([^"']+)["']/gm;

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

/** The layer of a path below the project's root. */
function layerOf(path: string): string {
  const [top, second] = path.split("/");
  if (top !== "src" || second.endsWith(".ts")) return "main";
  return second;
}

const files = [...sources("src"), ...sources("plugin"), ...sources("hooks")];

test("there are files to look at", () => {
  expect(files.length).toBeGreaterThan(50);
});

test.each(files)("%s imports only what its layer may", (file) => {
  const layer = layerOf(file);
  expect(Object.keys(LAYERS)).toContain(layer);
  const wrong: string[] = [];
  for (const [, target] of readFileSync(join(ROOT, file), "utf8").matchAll(IMPORT)) {
    if (target.startsWith(".")) {
      const other = layerOf(relative(ROOT, join(ROOT, dirname(file), target)));
      if (other !== layer && !LAYERS[layer].includes(other)) wrong.push(`${layer} -> ${other}: ${target}`);
    } else if (
      !(PACKAGES[layer] ?? []).some(
        (name) => target === name || (name.endsWith(":") && target.startsWith(name)),
      )
    ) {
      wrong.push(`${layer} -> ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});
