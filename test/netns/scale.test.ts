/** Many connections: none is lost, and afterwards the engine holds no more than before. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import { sleep } from "../support/space.ts";
import { useStage } from "../support/stage.ts";
import { engineState, SUBJECT, type EngineState } from "../support/subject.ts";

const stage = useStage();
const SETTLE_MS = 15_000;
/** What the allocator and the collector may keep from a burst, in KiB of private memory. */
const MEMORY_SLACK_KIB = 12 * 1024;

/** Waits until the engine has no flow and its descriptors are back; returns the last state seen. */
async function settled(net: Network, before: EngineState): Promise<EngineState> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const state = await engineState(net);
    const back = state.flows === before.flows && state.descriptors <= before.descriptors;
    if (back || Date.now() > deadline) return state;
    await sleep(250);
  }
}

test.each(FAMILIES)(
  "$name: 10,000 connections one after another, then 2,000 at once",
  async ({ peer }) => {
    await withNetwork(stage(), {}, async (net) => {
      await startLittleServers(net.peer);
      // The first round fills caches that stay: code, pools, neighbour entries.
      await net.container.run(`node $T/client.mjs parallel ${peer} 7 500`, { seconds: 60 });
      await sleep(1000);
      const before = await engineState(net);

      const sequential = await net.container.run(`node $T/client.mjs sequential ${peer} 7 10000`, {
        seconds: 120,
      });
      expect(JSON.parse(sequential)).toEqual({ done: 10_000, failed: 0, first: "" });
      const parallel = await net.container.run(`node $T/client.mjs parallel ${peer} 7 2000`, { seconds: 60 });
      expect(JSON.parse(parallel)).toEqual({ done: 2000, failed: 0, first: "" });

      if (SUBJECT === "pasta") return;
      const after = await settled(net, before);
      expect(after).toMatchObject({ flows: before.flows, descriptors: before.descriptors });
      expect(after.privateKiB - before.privateKiB).toBeLessThan(MEMORY_SLACK_KIB);
    });
  },
  240_000,
);
