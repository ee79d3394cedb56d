/**
 * The engine started by the machine's root, as container runtimes do: for a named namespace, for a container of an
 * ordinary user, and what an ordinary user must not do with root's. Skipped when the tests run without privilege.
 */
import { describe, expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const whenRoot = process.getuid?.() === 0 ? describe : describe.skip;

/** Reaches the peer over both families with TCP, UDP and ping, from where `enter` leads. */
async function reach(net: Network, enter: string): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (const { digit, peer } of FAMILIES) {
    for (const verb of ["sequential", "datagrams"]) {
      const line = await net.outside.run(`${enter} node $T/client.mjs ${verb} ${peer} 7 10 3`);
      seen.push(JSON.parse(line));
    }
    seen.push(
      (await net.outside.run(`${enter} ping -${digit} -n -c 1 -W 2 ${peer}`)).includes(" 0% packet loss"),
    );
  }
  return seen;
}

const REACHED = FAMILIES.flatMap(() => [
  { done: 10, failed: 0, first: "" },
  { echoed: 3, lost: 0, wrong: 0, errors: [] },
  true,
]);

whenRoot("as root of the machine", () => {
  test("a named namespace is connected, and disconnected when it is removed", async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { bucatini } = net.stage;
      await startLittleServers(net.peer);
      await net.outside.run(`ip netns add web; ${bucatini} attach --netns web --name web`);
      expect(await reach(net, "ip netns exec web")).toEqual(REACHED);
      expect(await net.outside.run(`${bucatini} list`)).toMatch(/^web /m);
      await net.outside.run("ip netns del web");
      await expectNothingLeft(net);
    });
  }, 60_000);

  test("a container of an ordinary user is connected by its process", async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const { bucatini } = net.stage;
      await startLittleServers(net.peer);
      const target = await net.user.start("unshare -Urn sh -c 'echo ready $$; exec sleep 1000'", {
        says: "ready",
      });
      const pid = /ready (\d+)/.exec(target.output())?.[1];
      await net.outside.run(`${bucatini} attach ${pid} --name theirs`);
      expect(await reach(net, `nsenter -t ${pid} -n`)).toEqual(REACHED);
      await target.kill();
      await expectNothingLeft(net);
    });
  }, 60_000);

  test("an ordinary user cannot attach to a namespace of root", async () => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      await net.outside.run("ip netns add web");
      const ended = await net.user.attempt(`${net.stage.bucatini} attach --netns web`);
      expect(ended.code).not.toBe(0);
      expect(ended.stderr).toMatch(/^bucatini: [^\n]+\n$/);
      await net.outside.run("ip netns del web");
      await expectNothingLeft(net);
    });
  }, 60_000);
});
