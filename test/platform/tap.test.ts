/** We rely on: a TAP takes the offloads we want, moves frames behind 10 bytes of header, and fails as described. */
import { expect, test } from "@jest/globals";
import { EIO, TUN_F_CSUM } from "../../src/ffi/constants.ts";
import { program, startChild } from "./children.ts";

test("a TAP is made, carries frames, and says why it cannot be made", async () => {
  const child = await startChild(["unshare", "--user", "--map-root-user", "--net", ...program("tap.ts")]);
  await child.end();
  const result = JSON.parse(child.line);
  expect(result.tap.name).toBe("guest0");
  expect(result.tap.offloads & TUN_F_CSUM).toBe(TUN_F_CSUM);
  expect(result.again).toBe(result.tap.offloads);
  expect(result.plain).toEqual({ name: "plain0", offloads: 0 });
  for (const taken of [result.busy, result.other, result.kept]) {
    expect(taken).toContain("an interface of this name exists already, perhaps that of another engine");
  }
  expect(result.long).toContain("1 to 15 bytes");
  expect(result.empty).toContain("1 to 15 bytes");
  expect(result.wrong).toContain("the name is not allowed");
  expect(result.down).toBe(-EIO);
  expect(result.written).toBe(70);
  // A router solicitation or the like: header, Ethernet and IPv6 headers and something behind them.
  expect(result.frame).toBeGreaterThan(10 + 14 + 40);
});

test("without privilege over the namespace the reason is said", async () => {
  const run = startChild(["unshare", "--user", "--map-root-user", ...program("tap.ts")]);
  await expect(run).rejects.toThrow("CAP_NET_ADMIN");
});
