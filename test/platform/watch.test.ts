/** We rely on: inotify tells of names that vanish, a pidfd of the end of a process, and neither of anything else. */
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EPOLLIN } from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { Epoll } from "../../src/kernel/epoll.ts";
import { hasEnded, openProcess } from "../../src/kernel/process.ts";
import { NetnsWatch } from "../../src/kernel/watch.ts";

let directory: string;
let epoll: Epoll;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bucatini-watch-"));
  epoll = new Epoll(4);
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
  epoll.close();
});

/** Watches a file, which serves as well as a namespace. */
function watchFile(name: string): { path: string; watch: NetnsWatch } {
  const path = join(directory, name);
  writeFileSync(path, "");
  const { dev, ino } = statSync(path);
  const watch = new NetnsWatch({ path, id: `${dev}:${ino}` });
  check(epoll.add(watch.fd, EPOLLIN, 0, 0), "epoll_ctl");
  return { path, watch };
}

test("the removal of the path is told", () => {
  const { path, watch } = watchFile("netns");
  expect([epoll.wait(0), watch.isGone()]).toEqual([0, false]);
  rmSync(path);
  expect([epoll.wait(1000), watch.isGone()]).toEqual([1, true]);
  watch.close();
});

test("changes of other names, several at once, mean nothing and are taken away", () => {
  const { watch } = watchFile("netns");
  for (const name of ["one", "two", "three"]) writeFileSync(join(directory, name), "");
  rmSync(join(directory, "two"));
  expect([epoll.wait(1000), watch.isGone(), epoll.wait(0)]).toEqual([1, false, 0]);
  watch.close();
});

test("another file under the same name is not the same namespace", () => {
  const { path, watch } = watchFile("netns");
  writeFileSync(join(directory, "other"), "");
  renameSync(join(directory, "other"), path);
  expect([epoll.wait(1000), watch.isGone()]).toEqual([1, true]);
  watch.close();
});

test("the removal of the whole directory is told", () => {
  const { watch } = watchFile("netns");
  rmSync(directory, { recursive: true });
  expect([epoll.wait(1000), watch.isGone()]).toEqual([1, true]);
  watch.close();
});

test("in /proc nothing is told, and asking works", async () => {
  const child = spawn("sleep", ["60"]);
  const path = `/proc/${child.pid}/ns/net`;
  const { dev, ino } = statSync(path);
  const watch = new NetnsWatch({ path, id: `${dev}:${ino}` });
  expect([watch.fd, watch.isGone()]).toEqual([-1, false]);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(watch.isGone()).toBe(true);
});

test("the end of a process is told once it is a zombie", async () => {
  const child = spawn("sleep", ["60"]);
  const pidfd = openProcess(child.pid!);
  check(epoll.add(pidfd, EPOLLIN, 0, 0), "epoll_ctl");
  expect([epoll.wait(0), hasEnded(pidfd)]).toEqual([0, false]);
  process.kill(child.pid!, "SIGKILL");
  // Nobody has waited for it yet: this thread has not returned to Node.
  expect([epoll.wait(1000), hasEnded(pidfd)]).toEqual([1, true]);
  await once(child, "exit");
  expect(hasEnded(pidfd)).toBe(true);
  close(pidfd);
});

test("a process that is not there is said to be gone", async () => {
  const child = spawn("true");
  await once(child, "exit");
  expect(() => openProcess(child.pid!)).toThrow(expect.objectContaining({ code: "TARGET_GONE" }));
});
