/**
 * The place an ordinary user's programs run from. The checkout may be out of that user's reach, so the built product
 * and the test programs are copied to a fresh directory; it is removed when the test file ends.
 */
import { afterAll, beforeAll } from "@jest/globals";
import { transformFileSync } from "@swc/core";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

/** The account without privilege that test/setup.sh creates. */
const ORDINARY_USER = "bucatini-test";
const ROOT_DIR = resolve(__dirname, "../..");

export interface Stage {
  readonly dir: string;
  readonly uid: number;
  readonly gid: number;
  /** The account's name. */
  readonly account: string;
  /** The built executable of the product. */
  readonly bucatini: string;
  /** Words before a command that make it run as the ordinary user. */
  readonly asUser: readonly string[];
  remove(): void;
}

/** Creates a stage before the tests of a file and removes it after them. */
export function useStage(): () => Stage {
  let stage: Stage | undefined;
  beforeAll(() => {
    stage = createStage();
  });
  afterAll(() => stage?.remove());
  return () => {
    if (stage === undefined) throw new Error("the stage exists only while tests run");
    return stage;
  };
}

/** Copies what the tests run. When we are root, everything runs as the ordinary user, else as ourselves. */
function createStage(): Stage {
  const asRoot = process.getuid?.() === 0;
  const account = asRoot ? ORDINARY_USER : String(process.getuid?.());
  const entry = execFileSync("getent", ["passwd", account], { encoding: "utf8" }).trim().split(":");
  const [uid, gid] = [Number(entry[2]), Number(entry[3])];

  const dir = mkdtempSync(join(tmpdir(), "bucatini-test-"));
  chmodSync(dir, 0o755);
  if (asRoot) chownSync(dir, uid, gid);
  const dist = join(ROOT_DIR, "dist");
  if (existsSync(dist)) cpSync(dist, join(dir, "dist"), { recursive: true });
  stagePrograms(dir);

  return {
    dir,
    uid,
    gid,
    account: entry[0] ?? account,
    bucatini: join(dir, "dist/bin/bucatini"),
    asUser: asRoot ? ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"] : [],
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function stagePrograms(dir: string): void {
  const sources = join(__dirname, "programs");
  mkdirSync(join(dir, "node_modules"));
  for (const name of ["koffi", "@koromix"]) {
    cpSync(join(ROOT_DIR, "node_modules", name), join(dir, "node_modules", name), { recursive: true });
  }
  for (const file of readdirSync(sources)) {
    const { code } = transformFileSync(join(sources, file), {
      jsc: { parser: { syntax: "typescript" }, target: "es2022" },
      module: { type: "es6" },
    });
    writeFileSync(join(dir, `${basename(file, ".ts")}.mjs`), code);
  }
}
