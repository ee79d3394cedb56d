/**
 * The engine started by the machine's root, as container runtimes do: for a named namespace, for a container of an
 * ordinary user, and what an ordinary user must not do with root's. Skipped when the tests run without privilege.
 */
import { describe, expect, test } from "@jest/globals";
import { expectNothingLeft, withNamespaces } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const whenRoot = process.getuid?.() === 0 ? describe : describe.skip;

whenRoot("as root of the machine", () => {
  test("the engine keeps no capability and can gain none", async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { bucatini } = net.stage;
      await net.outside.run(`ip netns add web; ${bucatini} attach --netns web --name web`);
      const status = await net.outside.run(
        `grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$(${bucatini} status web | sed -n 's/^pid: //p')/status`,
      );
      for (const name of ["CapEff", "CapBnd"]) expect(status).toMatch(new RegExp(`${name}:\\s+0+\n`));
      expect(status).toMatch(/NoNewPrivs:\s+1/);
      await net.outside.run(`${bucatini} detach web; ip netns del web`);
      await expectNothingLeft(net);
    });
  }, 60_000);
});
