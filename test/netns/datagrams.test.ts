/** Datagrams of every size come back as they were sent, fragmented ones included. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const SIZES = [0, 1, 1200, 1452, 1472, 1473, 4000, 60_000];

test.each(FAMILIES)(
  "datagrams over $name are echoed unchanged",
  async (family) => {
    await withNetwork(stage(), {}, async (net) => {
      await startLittleServers(net.peer);
      const seen: Record<number, unknown> = {};
      for (const size of SIZES) {
        seen[size] = JSON.parse(
          await net.container.run(`node $T/client.mjs datagrams ${family.peer} 7 ${size} 5`),
        );
      }
      const wanted = { echoed: 5, lost: 0, wrong: 0, errors: [] };
      expect(seen).toEqual(Object.fromEntries(SIZES.map((size) => [size, wanted])));
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "a datagram over $name to a closed port is refused",
  async (family) => {
    await withNetwork(stage(), {}, async (net) => {
      const command = `node $T/client.mjs datagrams ${family.peer} 6 100 1`;
      const outside = JSON.parse(await net.outside.run(command)) as { errors: string[] };
      expect(outside.errors).toContain("ECONNREFUSED");
      expect(JSON.parse(await net.container.run(command))).toEqual(outside);
    });
  },
  60_000,
);
