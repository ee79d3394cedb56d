import { expect, test } from "@jest/globals";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stopEngine } from "../../../src/runtime/control-client.ts";
import { startTime } from "../../../src/runtime/process-info.ts";
import {
  claimStateDirectory,
  isEngineState,
  listEngines,
  removeStateDirectory,
  stateRoots,
  writeState,
  type EngineTarget,
} from "../../../src/runtime/state-directory.ts";
import { useRuntimeDirectory } from "../../support/runtime-directory.ts";

const TARGET: EngineTarget = { kind: "pid", pid: 4711, netns: "4:4026531840" };
const OTHER: EngineTarget = { kind: "pid", pid: 4712, netns: "4:4026531841" };
const runtime = useRuntimeDirectory();

const claim = (id = "one", exact = true, target = TARGET) => claimStateDirectory("1.0.0", id, exact, target);

/** Engines of this test only: a person may be running others. */
const ids = (): string[] =>
  listEngines()
    .filter(({ directory }) => directory.startsWith(runtime()))
    .map(({ state }) => state.id);

test("a claim makes a private directory with a valid state, and nothing is left after it", () => {
  const engine = claim();
  const { directory, state } = engine;
  expect(directory).toBe(join(runtime(), "bucatini", "one"));
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(join(directory, "state.json")).mode & 0o777).toBe(0o600);
  expect(isEngineState(state)).toBe(true);
  expect(ids()).toEqual(["one"]);
  removeStateDirectory(engine);
  expect(readdirSync(runtime())).toEqual([]);
});

test("the root stays while other engines use it", () => {
  const one = claim();
  const two = claim("two", true, OTHER);
  removeStateDirectory(one);
  expect(ids()).toEqual(["two"]);
  removeStateDirectory(two);
  expect(readdirSync(runtime())).toEqual([]);
});

test("a namespace is served once", () => {
  claim();
  expect(() => claim("two")).toThrow("already served by the engine one");
  expect(readdirSync(join(runtime(), "bucatini"))).toEqual(["one"]);
});

test("a name that was asked for is refused when it is taken; one that was made up gets a number", () => {
  claim();
  expect(() => claim("one", true, OTHER)).toThrow("an engine of that name is running");
  expect(claim("one", false, OTHER).state.id).toBe("one-2");
  expect(claim("one", false, { kind: "run", command: "sh" }).state.id).toBe("one-3");
});

test("what a dead process left is removed and its place is free again", async () => {
  const { directory, state } = claim();
  const child = spawn("sleep", ["60"]);
  writeState(directory, { ...state, pid: child.pid!, startTime: startTime(child.pid!)! });
  expect(ids()).toEqual(["one"]);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill();
  await ended;
  expect(ids()).toEqual([]);
  expect(existsSync(directory)).toBe(false);
  expect(claim().state.id).toBe("one");
});

test("an engine in another PID namespace is alive as long as it holds its directory", async () => {
  const { directory, state } = claim();
  const holder = spawn("flock", ["--shared", directory, "cat"], { stdio: ["pipe", "pipe", "inherit"] });
  holder.stdin.write("held\n");
  await once(holder.stdout, "data");
  // A number that means nothing here.
  writeState(directory, { ...state, pid: 2 ** 22 + 1 });
  expect(ids()).toEqual(["one"]);
  expect(() => claim("two")).toThrow("already served");
  holder.stdin.end();
  await once(holder, "close");
  expect(ids()).toEqual([]);
});

test("who waited for an engine leaves the next one of the same name alone", async () => {
  const { directory, state } = claim();
  const earlier = { directory, state: { ...state, pid: 2 ** 22 + 1, createdAt: "2026-01-01T00:00:00.000Z" } };
  removeStateDirectory(earlier);
  expect(ids()).toEqual(["one"]);
  const holder = spawn("flock", ["--shared", directory, "cat"], { stdio: ["pipe", "pipe", "inherit"] });
  holder.stdin.write("held\n");
  await once(holder.stdout, "data");
  await stopEngine(earlier);
  expect(ids()).toEqual(["one"]);
  holder.stdin.end();
  await once(holder, "close");
});

test("a process number used again by another process is not taken for the engine", () => {
  const { directory, state } = claim();
  writeState(directory, { ...state, pid: process.pid, startTime: "1" });
  expect(ids()).toEqual([]);
});

test("a state that is no state is removed", () => {
  const { directory } = claim();
  for (const text of ["", "{", "[]", '{"pid":1}']) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(join(directory, "state.json"), text);
    expect(ids()).toEqual([]);
    expect(existsSync(directory)).toBe(false);
    claim();
  }
});

test("a directory that others can enter, or a link, is no place for state", () => {
  mkdirSync(join(runtime(), "bucatini"));
  chmodSync(join(runtime(), "bucatini"), 0o755);
  expect(claim().directory.startsWith(runtime())).toBe(false);
  expect(readdirSync(join(runtime(), "bucatini"))).toEqual([]);
  listEngines()
    .filter(({ state }) => state.version === "1.0.0")
    .forEach(removeStateDirectory);
  rmSync(join(runtime(), "bucatini"), { recursive: true });
  const elsewhere = mkdtempSync(join(tmpdir(), "bucatini-test-"));
  symlinkSync(elsewhere, join(runtime(), "bucatini"));
  const engine = claim();
  expect(engine.directory.startsWith(runtime())).toBe(false);
  expect(readdirSync(elsewhere)).toEqual([]);
  removeStateDirectory(engine);
  rmSync(elsewhere, { recursive: true });
});

test("a runtime directory that is relative, missing or somebody else's is not used", () => {
  for (const path of ["run", "/nonexistent", `/${"x".repeat(300)}`]) {
    expect(stateRoots({ XDG_RUNTIME_DIR: path }).some((root) => root.startsWith(path))).toBe(false);
  }
  expect(stateRoots({})).toContain(`/tmp/bucatini-${process.geteuid!()}`);
});

test("a state that cannot be written is said, and leaves nothing", () => {
  mkdirSync(join(runtime(), "bucatini", "one", "x"), { recursive: true, mode: 0o700 });
  chmodSync(join(runtime(), "bucatini", "one"), 0o755);
  expect(() => claim()).toThrow("cannot write the state of the engine");
  expect(readdirSync(runtime())).toEqual([]);
});

test("a path that is too long for a socket is refused and leaves nothing", () => {
  const long = join(runtime(), "x".repeat(80));
  mkdirSync(long, { mode: 0o700 });
  process.env["XDG_RUNTIME_DIR"] = long;
  expect(() => claim()).toThrow("at most 107 bytes; choose a shorter --name");
  expect(readdirSync(join(long, "bucatini"))).toEqual([]);
});
