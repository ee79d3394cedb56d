/** The host's resolv.conf with real files: whatever is done to it on whichever way, what it says in the end is heard. */
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { EPOLLIN } from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { ResolvConfWatch } from "../../src/follow/resolv-conf.ts";
import { Epoll } from "../../src/kernel/epoll.ts";
import type { Log } from "../../src/log/logger.ts";

/** Enough for a busy machine; what comes does so at once. */
const SOON_MS = 5_000;

let root: string;
let epoll: Epoll;
let watch: ResolvConfWatch | undefined;
let warnings: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "bucatini-resolv-"));
  epoll = new Epoll(4);
  warnings = [];
});
afterEach(() => {
  for (const fd of watch?.fds ?? []) close(fd);
  watch = undefined;
  epoll.close();
  rmSync(root, { recursive: true, force: true });
});

const at = (...names: string[]): string => join(root, ...names);

/** A resolv.conf that names 198.51.100.N. */
const naming = (n: number): string => `nameserver 198.51.100.${n}\n`;
const named = (...numbers: number[]): string[] => numbers.map((n) => `198.51.100.${n}`);

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Puts a new file or link in the place of `path` at once, as programs do that are careful. */
function replace(path: string, make: (temporary: string) => void): void {
  make(`${path}.new`);
  renameSync(`${path}.new`, path);
}

const ignore = (): void => {};
const log: Log = {
  traceOn: false,
  debugOn: false,
  error: ignore,
  warn: (message) => void warnings.push(message),
  info: ignore,
  debug: ignore,
  trace: ignore,
};

function open(path: string): ResolvConfWatch {
  watch = new ResolvConfWatch(log, path);
  for (const fd of watch.fds) check(epoll.add(fd, EPOLLIN, 0, 0), "epoll_ctl");
  return watch;
}

/** What it names once something has been heard of a change. */
function next(): string[] {
  const deadline = performance.now() + SOON_MS;
  while (performance.now() < deadline) {
    if (epoll.wait(Math.ceil(deadline - performance.now())) > 0 && watch!.hasChanged()) {
      return watch!.current.nameservers;
    }
  }
  return ["nothing was heard"];
}

/** Takes what is told until nothing more is; whether any of it was a change. */
function isQuiet(): boolean {
  let changed = false;
  while (epoll.wait(0) > 0) changed = watch!.hasChanged() || changed;
  return !changed;
}

test("a file that is replaced, again and again", () => {
  const path = at("etc/resolv.conf");
  write(path, naming(1));
  expect(open(path).current.nameservers).toEqual(named(1));
  for (let n = 2; n < 20; n++) {
    replace(path, (temporary) => write(temporary, naming(n)));
    expect(next()).toEqual(named(n));
  }
  expect(isQuiet()).toBe(true);
});

test("a file that is written in place, when the writer is done", () => {
  const path = at("etc/resolv.conf");
  write(path, naming(1));
  open(path);
  const fd = openSync(path, "w");
  writeSync(fd, naming(2));
  expect(isQuiet()).toBe(true);
  writeSync(fd, naming(3));
  closeSync(fd);
  expect(next()).toEqual(named(2, 3));
  appendFileSync(path, naming(4));
  expect(next()).toEqual(named(2, 3, 4));
});

test("the same text again is no change, and the search list is one", () => {
  const path = at("etc/resolv.conf");
  write(path, naming(1));
  open(path);
  write(path, `# Generated again\n${naming(1)}`);
  expect(isQuiet()).toBe(true);
  write(path, `${naming(1)}search example.com\n`);
  expect([next(), watch?.current.search]).toEqual([named(1), ["example.com"]]);
});

test("other files in the directory mean nothing", () => {
  const path = at("etc/resolv.conf");
  write(path, naming(1));
  open(path);
  write(at("etc/hosts"), "");
  unlinkSync(at("etc/hosts"));
  expect(isQuiet()).toBe(true);
  expect(epoll.wait(0)).toBe(0);
});

test("a relative link into another directory, as systemd-resolved has it", () => {
  write(at("run/systemd/resolve/stub-resolv.conf"), naming(1));
  write(at("run/systemd/resolve/resolv.conf"), naming(2));
  const path = at("etc/resolv.conf");
  mkdirSync(dirname(path));
  symlinkSync("../run/systemd/resolve/stub-resolv.conf", path);
  expect(open(path).current.nameservers).toEqual(named(1));
  replace(at("run/systemd/resolve/stub-resolv.conf"), (temporary) => write(temporary, naming(3)));
  expect(next()).toEqual(named(3));
  replace(path, (temporary) => symlinkSync("../run/systemd/resolve/resolv.conf", temporary));
  expect(next()).toEqual(named(2));
  // The way there was is not watched any more.
  isQuiet();
  write(at("run/systemd/resolve/resolv.conf"), naming(4));
  expect(next()).toEqual(named(4));
  replace(path, (temporary) => write(temporary, naming(5)));
  expect(next()).toEqual(named(5));
  isQuiet();
  replace(at("run/systemd/resolve/resolv.conf"), (temporary) => write(temporary, naming(6)));
  expect(epoll.wait(0)).toBe(0);
});

test("links to links, and directories that are links", () => {
  write(at("a/real"), naming(1));
  write(at("b/real"), naming(2));
  symlinkSync(at("a"), at("current"));
  mkdirSync(at("links"));
  symlinkSync(at("current/real"), at("links/one"));
  const path = at("resolv.conf");
  symlinkSync("links/./../links/one", path);
  expect(open(path).current.nameservers).toEqual(named(1));
  replace(at("current"), (temporary) => symlinkSync(at("b"), temporary));
  expect(next()).toEqual(named(2));
  write(at("c"), naming(3));
  replace(at("links/one"), (temporary) => symlinkSync("../c", temporary));
  expect(next()).toEqual(named(3));
});

test("a file that comes later, and so do the directories on the way", () => {
  const path = at("etc/resolv.conf");
  mkdirSync(dirname(path));
  symlinkSync("../run/resolve/conf", path);
  expect(open(path).current.nameservers).toEqual(["127.0.0.1"]);
  mkdirSync(at("run"));
  expect(isQuiet()).toBe(true);
  mkdirSync(at("run/resolve"));
  expect(isQuiet()).toBe(true);
  write(at("run/resolve/conf"), naming(1));
  expect(next()).toEqual(named(1));
});

test("directories that are made anew, or moved away", () => {
  const path = at("run/systemd/resolve/conf");
  write(path, naming(1));
  open(path);
  rmSync(at("run"), { recursive: true });
  write(path, naming(2));
  expect(next()).toEqual(named(2));
  renameSync(at("run/systemd"), at("run/old"));
  isQuiet();
  write(path, naming(3));
  expect(next()).toEqual(named(3));
});

test("links that lead round in a circle, until they do not", () => {
  const path = at("resolv.conf");
  symlinkSync("other", path);
  symlinkSync("resolv.conf", at("other"));
  expect(open(path).current.nameservers).toEqual(["127.0.0.1"]);
  replace(at("other"), (temporary) => write(temporary, naming(1)));
  expect(next()).toEqual(named(1));
});

test("a file that vanishes for a moment, or is empty, costs nobody the resolvers", () => {
  const path = at("resolv.conf");
  write(path, naming(1));
  open(path);
  unlinkSync(path);
  expect([isQuiet(), watch?.current.nameservers]).toEqual([true, named(1)]);
  write(path, "# Soon\n");
  expect([isQuiet(), watch?.current.nameservers]).toEqual([true, named(1)]);
  write(path, naming(2));
  expect(next()).toEqual(named(2));
});

test("a file that is gone for good is believed after two seconds", () => {
  const path = at("resolv.conf");
  write(path, naming(1));
  open(path);
  const start = performance.now();
  unlinkSync(path);
  expect(next()).toEqual(["127.0.0.1"]);
  expect(performance.now() - start).toBeGreaterThan(1_900);
});

test("a file that may be read at last", () => {
  const path = at("resolv.conf");
  write(path, naming(1));
  open(path);
  replace(path, (temporary) => {
    write(temporary, naming(2));
    chmodSync(temporary, 0);
  });
  chmodSync(path, 0o644);
  expect(next()).toEqual(named(2));
});

test("something that is no file", () => {
  mkdirSync(at("resolv.conf"));
  expect(open(at("resolv.conf")).current.nameservers).toEqual(["127.0.0.1"]);
  rmSync(at("resolv.conf"), { recursive: true });
  write(at("resolv.conf"), naming(1));
  expect(next()).toEqual(named(1));
});

test("where the kernel tells of nothing the file is read now and then, and a warning says so", () => {
  const path = at("resolv.conf");
  write(at("one"), naming(1));
  symlinkSync(`/proc/self/cwd${at("one")}`, path);
  open(path);
  const cwd = process.cwd();
  try {
    process.chdir("/");
    expect(next()).toEqual(named(1));
    expect(warnings).toEqual([expect.stringContaining("it is read every 5 seconds")]);
  } finally {
    process.chdir(cwd);
  }
});

test("a file without an end costs no more than its beginning", () => {
  const path = at("etc/resolv.conf");
  // The last line that is read is cut in the middle, and does not count.
  write(path, `${naming(1)}${"#".repeat(65_488)}\n${naming(21)}`.repeat(100));
  expect(open(path).current.nameservers).toEqual(named(1));
  replace(path, (temporary) => symlinkSync("/dev/zero", temporary));
  expect(isQuiet()).toBe(true);
});
