/**
 * Builds dist/: one bundle for each executable, and koffi's native module for each platform at hand.
 *
 *   node build.mjs                  generated validators and dist/
 *   node build.mjs gen              generated validators only (src/config/generated)
 *   PLATFORMS=all node build.mjs    dist/ with the native modules for other machines too
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import standaloneCode from "ajv/dist/standalone/index.js";
import { rolldown } from "rolldown";

const ROOT = dirname(fileURLToPath(import.meta.url));
const GENERATED = join(ROOT, "src/config/generated");
const DIST = join(ROOT, "dist");
/** Built here and then put in place at once, so that dist/ is never half of it. */
const BUILD = join(ROOT, `node_modules/.dist-${process.pid}`);

/** What is started by name, by its place in dist/. What they have in common lies in dist/lib, and is loaded when needed. */
const EXECUTABLES = {
  "bin/bucatini": "src/main.ts",
  "bin/pasta": "src/pasta-main.ts",
  "cni/bucatini": "plugin/main.ts",
  "hooks/bucatini-oci-hook": "hooks/main.ts",
  "netavark/bucatini": "plugin/netavark.ts",
};
/** What executables start. Each is one file, with nothing in it that it does not need: the engine's stays in memory. */
const PROGRAMS = {
  "lib/launcher.cjs": "src/runtime/launcher-main.ts",
  "lib/guard.cjs": "src/runtime/guard-main.ts",
  "lib/probe.cjs": "src/runtime/probe-main.ts",
  "lib/tour-inside.cjs": "src/commands/tour-inside.ts",
  "lib/engine.cjs": "src/engine/main.ts",
};

/**
 * koffi's own loader looks for packages on disk. Its native module already has the whole interface, so bundles
 * load that file, which lies in dist/lib, with a plain require.
 */
const KOFFI = `
const path = require("node:path");
const native = (libc) => path.join(__dirname, "../lib", "koffi-" + process.arch + "-" + libc + ".node");
try { module.exports = require(native("glibc")); }
catch (error) {
  try { module.exports = require(native("musl")); } catch { throw error; }
}
`;
const koffiNative = {
  name: "koffi-native",
  resolveId: (id) => (id === "koffi" ? "\0koffi-native.cjs" : null),
  load: (id) => (id === "\0koffi-native.cjs" ? { code: KOFFI, moduleType: "js" } : null),
};

/**
 * What pino needs to write files by itself, from this thread or another, which our log does neither of: loading it takes a
 * tenth of an engine's start.
 */
const UNUSED = {
  "sonic-boom": "module.exports = class {};",
  "thread-stream": "module.exports = class {};",
  worker_threads: "module.exports = { isMainThread: true };",
};
const unusedByPino = {
  name: "unused-by-pino",
  resolveId: (id, importer) =>
    Object.hasOwn(UNUSED, id) && importer?.includes("/node_modules/pino/") ? `\0${id}.cjs` : null,
  load: (id) => {
    const code = id.startsWith("\0") ? UNUSED[id.slice(1, -".cjs".length)] : undefined;
    return code === undefined ? null : { code, moduleType: "js" };
  },
};

/** Compiles every schema to a function, so that no start pays for ajv. */
function generate() {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  mkdirSync(GENERATED, { recursive: true });
  for (const file of readdirSync(join(ROOT, "schemas")).filter((name) => name.endsWith(".schema.json"))) {
    const schema = JSON.parse(readFileSync(join(ROOT, "schemas", file), "utf8"));
    const ajv = new Ajv({ allErrors: false, code: { source: true, esm: true }, strict: true });
    const name = basename(file, ".schema.json");
    const code = standaloneCode.default(ajv, ajv.compile(schema));
    const exported = `validate${name
      .split("-")
      .map((word) => word[0].toUpperCase() + word.slice(1))
      .join("")}`;
    // Only a named export with a type is wanted.
    const body = code.replace(/^"use strict";export const validate = (\w+);export default \1;/, "");
    const match = /^"use strict";export const validate = (\w+);/.exec(code);
    if (match === null || body === code) throw new Error(`unexpected output of ajv for ${file}`);
    const text = `// @ts-nocheck\n// Generated from schemas/${file} by build.mjs.\n${body}\nexport { ${match[1]} as ${exported} };\n`;
    writeChanged(join(GENERATED, `${name}.ts`), text);
  }
  writeChanged(
    join(GENERATED, "version.ts"),
    `// Generated from package.json by build.mjs.\nexport const VERSION = ${JSON.stringify(version)};\n`,
  );
}

/** Replaces a file in one step, and only when that makes a difference: tests may be reading it. */
function writeChanged(path, text) {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}

/** Puts what was built in the place of what is there. */
function replaceDist() {
  const old = `${BUILD}-old`;
  for (let attempt = 0; ; attempt++) {
    try {
      if (existsSync(DIST)) renameSync(DIST, old);
      renameSync(BUILD, DIST);
      break;
    } catch (error) {
      // Another build has just taken the old one away, or put its own in place.
      if ((error.code !== "ENOENT" && error.code !== "ENOTEMPTY") || attempt === 10) throw error;
    } finally {
      rmSync(old, { recursive: true, force: true });
    }
  }
}

/** Bundles entries, given by their place in dist/, into one directory. */
async function bundle(entries, output) {
  const build = await rolldown({
    input: Object.fromEntries(Object.entries(entries).map(([file, entry]) => [file, join(ROOT, entry)])),
    platform: "node",
    plugins: [koffiNative, unusedByPino],
    tsconfig: join(ROOT, "tsconfig.json"),
    onLog: (level, log) => {
      if (level === "warn") throw new Error(`${Object.values(entries).join(", ")}: ${log.message}`);
    },
  });
  await build.write({
    dir: BUILD,
    format: "cjs",
    entryFileNames: "[name]",
    // What is not code would stay in memory as long as the engine lives.
    comments: false,
    ...output,
  });
  await build.close();
}

async function bundleAll() {
  await bundle(EXECUTABLES, {
    chunkFileNames: "lib/[name]-[hash].cjs",
    banner: ({ isEntry }) => (isEntry ? "#!/usr/bin/env node" : ""),
  });
  for (const file of Object.keys(EXECUTABLES)) chmodSync(join(BUILD, file), 0o755);
  for (const [file, entry] of Object.entries(PROGRAMS)) {
    await bundle({ [file]: entry }, { codeSplitting: false });
  }
}

/** Copies koffi's native modules: those that npm installed, and with PLATFORMS=all those for other machines. */
function copyNative() {
  let copied = 0;
  for (const arch of ["x64", "arm64"]) {
    const name = `@koromix/koffi-linux-${arch}`;
    const installed = join(ROOT, "node_modules", name);
    const wanted = existsSync(installed) || process.env.PLATFORMS === "all";
    if (!wanted) continue;
    const from = existsSync(installed) ? installed : fetchPackage(name);
    for (const [libc, folder] of [
      ["glibc", `linux_${arch}`],
      ["musl", `musl_${arch}`],
    ]) {
      copyFileSync(join(from, folder, "koffi.node"), join(BUILD, "lib", `koffi-${arch}-${libc}.node`));
      copied++;
    }
  }
  if (copied === 0) throw new Error("no native module of koffi in node_modules; run npm ci");
}

/** Fetches a package that npm does not install on this machine; it must be the one that package-lock.json names. */
function fetchPackage(name) {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8"));
  const { version, integrity } = packages[`node_modules/${name}`];
  const folder = join(BUILD, "fetched", name);
  mkdirSync(folder, { recursive: true });
  const options = { cwd: folder, encoding: "utf8" };
  const file = execFileSync("npm", ["pack", "--silent", `${name}@${version}`], options).trim();
  const hash = createHash("sha512")
    .update(readFileSync(join(folder, file)))
    .digest("base64");
  if (`sha512-${hash}` !== integrity)
    throw new Error(`${name}@${version} is not what package-lock.json says`);
  execFileSync("tar", ["-xzf", file], options);
  return join(folder, "package");
}

generate();
if (process.argv[2] !== "gen") {
  try {
    mkdirSync(join(BUILD, "lib"), { recursive: true });
    copyNative();
    copyFileSync(join(ROOT, "src/runtime/container-init.sh"), join(BUILD, "lib/container-init.sh"));
    await bundleAll();
    // Files without an ending are CommonJS wherever dist/ lies, below a package of modules too.
    rmSync(join(BUILD, "fetched"), { recursive: true, force: true });
    writeFileSync(join(BUILD, "package.json"), '{ "type": "commonjs" }\n');
    replaceDist();
  } finally {
    rmSync(BUILD, { recursive: true, force: true });
  }
}
