/** The gateway's address stands, inside, for the loopback of the host, unless that is switched off. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const LOOPBACKS = FAMILIES.map((family) => family.loopback).join(" ");

test.each(FAMILIES)(
  "over $name the gateway reaches servers on the host's loopback",
  async ({ gateway }) => {
    await withNetwork(stage(), {}, async (net) => {
      await startLittleServers(net.outside, LOOPBACKS);
      const stream = await net.container.run(`node $T/client.mjs sequential ${gateway} 7 5`);
      expect(JSON.parse(stream)).toEqual({ done: 5, failed: 0, first: "" });
      const datagrams = await net.container.run(`node $T/client.mjs datagrams ${gateway} 7 100 5`);
      expect(JSON.parse(datagrams)).toEqual({ echoed: 5, lost: 0, wrong: 0, errors: [] });
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "over $name --no-map-gw leaves the gateway itself at its address",
  async (family) => {
    await withNetwork(stage(), { options: ["--no-map-gw"] }, async (net) => {
      await startLittleServers(net.outside, LOOPBACKS);
      const command = `node $T/client.mjs outcome ${family.gateway} 7`;
      expect(JSON.parse(await net.container.run(command))).toMatchObject({ outcome: "ECONNREFUSED" });
      await startLittleServers(net.router, family.gateway);
      const stream = await net.container.run(`node $T/client.mjs sequential ${family.gateway} 7 5`);
      expect(JSON.parse(stream)).toEqual({ done: 5, failed: 0, first: "" });
    });
  },
  60_000,
);
