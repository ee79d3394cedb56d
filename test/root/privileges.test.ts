/**
 * The engine started by the machine's root, as container runtimes do: for a named namespace, for a container of an
 * ordinary user, and what an ordinary user must not do with root's. Skipped when the tests run without privilege.
 */
import { describe, expect, test } from "@jest/globals";
import { expectNothingLeft, withNamespaces } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const NONE = "0000000000000000";
const NET_BIND_SERVICE = "0000000000000400";

const stage = useStage();
const whenRoot = process.getuid?.() === 0 ? describe : describe.skip;

whenRoot("as root of the machine", () => {
  test("the engine keeps one capability, its thread inside none, and neither can gain any", async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { bucatini } = net.stage;
      await net.outside.run(`ip netns add web; ${bucatini} attach --netns web --name web`);
      const status = await net.outside.run(`
        pid=$(${bucatini} status web | sed -n 's/^pid: //p')
        show() { echo "$1:" $(sed -nE 's/^(CapPrm|NoNewPrivs|Seccomp):/\\1/p' /proc/$pid/task/$2/status); }
        show main $pid
        for thread in /proc/$pid/task/*; do
          [ $(readlink $thread/ns/net) = $(readlink /proc/$pid/ns/net) ] || show inside \${thread##*/}
        done`);
      const restricted = "NoNewPrivs 1 Seccomp 2";
      expect(status).toBe(
        `main: CapPrm ${NET_BIND_SERVICE} ${restricted}\ninside: CapPrm ${NONE} ${restricted}\n`,
      );
      await net.outside.run(`${bucatini} detach web; ip netns del web`);
      await expectNothingLeft(net);
    });
  }, 60_000);
});
