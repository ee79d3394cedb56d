/** We rely on: what a thread gives up is given up by the programs it starts, whoever they run as. */
import { expect, test } from "@jest/globals";
import { program, startChild } from "./children.ts";

const NET_ADMIN = "0000000000001000";

test("only the named capability is left, here and in programs started later", async () => {
  const child = await startChild(["unshare", "--user", "--map-root-user", ...program("narrow.ts")]);
  await child.end();
  const result = JSON.parse(child.line);
  expect([result.had, ...result.has]).toEqual([true, false, true]);
  const sets = {
    CapInh: NET_ADMIN,
    CapPrm: NET_ADMIN,
    CapEff: NET_ADMIN,
    CapBnd: "0000000000000000",
    CapAmb: NET_ADMIN,
    NoNewPrivs: "1",
  };
  expect(result.own).toEqual(sets);
  expect(result.child).toEqual(sets);
});
