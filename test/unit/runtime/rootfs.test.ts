import { afterEach, beforeEach, expect, test } from "@jest/globals";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeResolvConfBelow } from "../../../src/runtime/rootfs.ts";

let top = "";
let root = "";
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "bucatini-test-"));
  root = join(top, "rootfs");
  mkdirSync(root);
});
afterEach(() => rmSync(top, { recursive: true }));

const write = (): Promise<void> => writeResolvConfBelow(root, ["169.254.1.1"]);
const expectWritten = (): void => {
  const path = join(root, "etc/resolv.conf");
  expect(lstatSync(path).isFile()).toBe(true);
  expect(readFileSync(path, "utf8")).toContain("nameserver 169.254.1.1\n");
  expect(statSync(path).mode & 0o777).toBe(0o644);
  expect(readdirSync(join(root, "etc"))).toEqual(["resolv.conf"]);
};

test("the file is made, with its directory, whatever the umask", async () => {
  const before = process.umask(0o077);
  try {
    await write();
  } finally {
    process.umask(before);
  }
  expectWritten();
  await write();
  expect(readdirSync(join(root, "etc"))).toEqual(["resolv.conf"]);
});

test("links in the image are replaced or refused, and never followed", async () => {
  const outside = join(top, "outside");
  writeFileSync(outside, "host");
  mkdirSync(join(root, "etc"));
  symlinkSync("../../outside", join(root, "etc/resolv.conf"));
  symlinkSync(outside, join(root, "etc/.resolv.conf.bucatini"));
  await write();
  expectWritten();
  expect(readFileSync(outside, "utf8")).toBe("host");

  rmSync(join(root, "etc"), { recursive: true });
  mkdirSync(join(top, "hosts-etc"));
  symlinkSync(join(top, "hosts-etc"), join(root, "etc"));
  await expect(write()).rejects.toThrow(
    `cannot write etc/resolv.conf below ${root}: etc is no directory; mount a resolv.conf`,
  );
  expect(readdirSync(join(top, "hosts-etc"))).toEqual([]);
});

test("a root file system that is the host's is left alone", async () => {
  const before = existsSync("/etc/resolv.conf") ? statSync("/etc/resolv.conf").ino : undefined;
  await expect(writeResolvConfBelow("/", ["169.254.1.1"])).rejects.toThrow("that is the host's");
  expect(existsSync("/etc/resolv.conf") ? statSync("/etc/resolv.conf").ino : undefined).toBe(before);
  expect(readdirSync("/etc").filter((name) => name.includes("bucatini"))).toEqual([]);
});
