/** We rely on: Node lives without the system calls that an engine gives up, and no thread keeps them. */
import { expect, test } from "@jest/globals";
import { program, startChild } from "./children.ts";

test("forbidden calls fail in all threads, and Node's own work goes on", async () => {
  const child = await startChild(program("seccomp.ts"));
  await child.end();
  expect(JSON.parse(child.line)).toEqual({
    threads: ["2"],
    exec: "EPERM",
    kill: "EPERM",
    unshare: true,
    file: "hello",
    worker: "hello",
    socket: "hello",
  });
});
