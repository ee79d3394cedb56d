/** We rely on: unshare and setns move the calling thread there and back, and a blocked signal can be read as data. */
import { expect, test } from "@jest/globals";
import { EAGAIN, EINVAL, EPIPE, SIGPIPE } from "../../src/ffi/constants.ts";
import { program, startChild } from "./children.ts";

test("the main thread goes to a new network namespace and back; a signal for it comes from a descriptor", async () => {
  const child = await startChild([
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    ...program("own-thread.ts"),
  ]);
  await child.end();
  expect(JSON.parse(child.line)).toEqual({
    move: { isElsewhere: true, wrongKind: -EINVAL, isBack: true, user: -EINVAL },
    signal: { empty: -EAGAIN, written: -EPIPE, length: 128, signal: SIGPIPE, isOurs: true },
  });
});
