/**
 * We rely on: setns moves one thread of the pool, what it opens there works from every thread, and the main thread
 * stays in its namespace, also where it could not come back.
 */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "../../src/base/errors.ts";
import { close } from "../../src/ffi/libc.ts";
import { namespaceId, openNetns, openOwner, ownNamespaceId } from "../../src/kernel/namespace.ts";
import { program, startChild, startHolder, type Child } from "./children.ts";

let holder: Child;
beforeAll(async () => {
  holder = await startHolder();
});
afterAll(() => holder.end());

const inUserns = (): string[] => [
  "nsenter",
  "--target",
  `${holder.pid}`,
  "--user",
  "--preserve-credentials",
  "--",
];

test.each(["1", "4"])("a TAP and a socket are made inside, with %s threads in the pool", async (threads) => {
  const argv = [...inUserns(), ...program("open-in-netns.ts", `${holder.pid}`)];
  const child = await startChild(argv, { UV_THREADPOOL_SIZE: threads });
  try {
    const result = JSON.parse(child.line);
    const own = ownNamespaceId("net");
    expect(result).toMatchObject({ before: own, after: own, ownerFound: true });
    expect(result.target).not.toBe(own);
    expect([result.tap.netns, result.netlink]).toEqual([result.target, result.target]);
    expect(result.thread).toBe(result.self);
    const ip = ["--net", "ip", "-j", "link", "show", result.tap.name];
    const links = execFileSync("nsenter", [
      "--target",
      `${holder.pid}`,
      "--user",
      "--preserve-credentials",
      ...ip,
    ]);
    expect(JSON.parse(links.toString())).toHaveLength(1);
  } finally {
    await child.end();
  }
});

test("a namespace is known by its device and inode", () => {
  const first = openNetns(`/proc/${holder.pid}/ns/net`);
  const second = openNetns(`/proc/${holder.pid}/ns/net`);
  expect(first.id).toBe(second.id);
  expect(namespaceId(first.fd)).toBe(first.id);
  expect(first.id).not.toBe(ownNamespaceId("net"));
  const owner = openOwner(first.fd);
  expect(owner).toBeDefined();
  expect(namespaceId(owner!)).not.toBe(ownNamespaceId("user"));
  [first.fd, second.fd, owner!].forEach(close);
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
}

test("what is no network namespace is refused", () => {
  const directory = mkdtempSync(join(tmpdir(), "bucatini-netns-"));
  const file = join(directory, "file");
  writeFileSync(file, "");
  execFileSync("mkfifo", [join(directory, "pipe")]);
  const paths = [
    join(directory, "none"),
    file,
    join(directory, "pipe"),
    "/proc/self/ns/user",
    "/dev/null",
    directory,
  ];
  expect(paths.map((path) => codeOf(() => openNetns(path)))).toEqual(paths.map(() => "TARGET_GONE"));
  rmSync(directory, { recursive: true });
});
