/** A process is there until its last thread has ended, and with it what it had open. */
import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startTime } from "../../src/runtime/process-info.ts";
import { startChild } from "./children.ts";

const KOFFI = join(__dirname, "../../node_modules/koffi");
/** Number of exit(2), which ends the calling thread only. @see asm/unistd.h */
const SYS_EXIT = process.arch === "x64" ? 60 : 93;
const FIRST_THREAD_ENDS = `
  const exit = require(${JSON.stringify(KOFFI)}).load(null).func("long syscall(long, long)");
  console.log("ready");
  setTimeout(() => exit(${SYS_EXIT}, 0), 10);`;

test("the first thread ends before the others", async () => {
  const child = await startChild([process.execPath, "-e", FIRST_THREAD_ENDS]);
  try {
    const status = `/proc/${child.pid}/status`;
    const deadline = Date.now() + 5000;
    while (!/^State:\tZ/m.test(readFileSync(status, "utf8")) && Date.now() < deadline);
    expect(readFileSync(status, "utf8")).toMatch(/^State:\tZ/m);
    expect(startTime(child.pid)).toMatch(/^\d+$/);
  } finally {
    child.process.kill("SIGKILL");
    await child.end();
  }
  expect(startTime(child.pid)).toBeUndefined();
});
