/**
 * We rely on: the one thread of the pool enters another network namespace for good, sockets made there work from the
 * main thread, and neither keeps the privilege that it took.
 */
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { program, startChild, startHolder, type Child } from "./children.ts";

const NONE = "0000000000000000";
const NET_BIND_SERVICE = "0000000000000400";

let holder: Child;
beforeAll(async () => {
  holder = await startHolder();
});
afterAll(() => holder.end());

test("sockets come from inside, as many as are wanted", async () => {
  const enter = ["nsenter", "--target", `${holder.pid}`, "--user", "--preserve-credentials", "--"];
  const argv = [...enter, ...program("inside.ts", `${holder.pid}`)];
  const child = await startChild(argv, { UV_THREADPOOL_SIZE: "1" });
  await child.end();
  const result = JSON.parse(child.line);
  const { threads } = result;
  expect(threads.filter(({ isMain }: { isMain: boolean }) => isMain)).toEqual([
    { isMain: true, isInside: false, capabilities: NET_BIND_SERVICE },
  ]);
  expect(threads.filter(({ isInside }: { isInside: boolean }) => isInside)).toEqual([
    { isMain: false, isInside: true, capabilities: NONE },
  ]);
  const kind = { isOurs: true, cookies: 1, isElsewhere: true };
  expect(result.kinds).toMatchObject(
    [c.AF_INET, c.AF_INET6, c.AF_INET, c.AF_INET6].map((domain) => ({ ...kind, domain })),
  );
  expect(result.many.elsewhere).toBe(true);
  expect(result.queued).toEqual({ least: true, distinct: 1000 });
  expect(result.wrong).toBeLessThan(0);
});
