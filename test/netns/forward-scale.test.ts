/** Many connections and many ports: none is lost, none holds up the others, and nothing is left of them. */
import { describe, expect, test } from "@jest/globals";
import { EXIT_CODES } from "../../src/base/errors.ts";
import { CROSSINGS, EVERY_ADDRESS } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, withNetwork, type Network } from "../support/network.ts";
import { startLittleServers } from "../support/servers.ts";
import { sleep } from "../support/space.ts";
import { useStage } from "../support/stage.ts";
import { engineState, type EngineState } from "../support/subject.ts";

const stage = useStage();
const SETTLE_MS = 15_000;
const CONNECTIONS = 5000;
const PORTS_MAX = 60_000;
/** Descriptors that an engine needs for itself. */
const SPARE_FILES = 1500;
/** Sockets inside that are kept ready after a burst: as many of each family. */
const STOCK = 2 * 512;

/** Waits until the engine has no flow and its descriptors are back; returns the last state seen. */
async function settled(net: Network, before: EngineState): Promise<EngineState> {
  const deadline = Date.now() + SETTLE_MS;
  for (;;) {
    const state = await engineState(net);
    const back = state.flows === before.flows && state.descriptors <= before.descriptors + STOCK;
    if (back || Date.now() > deadline) return state;
    await sleep(250);
  }
}

describe.each(CROSSINGS)("$name", ({ options, client, server, to }) => {
  test("5,000 connections at once", async () => {
    await withNetwork(stage(), { options }, async (net) => {
      await startLittleServers(server(net), EVERY_ADDRESS);
      const [family] = FAMILIES;
      // The first round fills caches that stay: code, pools, stocks of sockets.
      await client(net).run(`node $T/client.mjs parallel ${to(family)} 7007 500`, { seconds: 60 });
      await sleep(1000);
      const before = await engineState(net);
      for (const each of FAMILIES) {
        const text = await client(net).run(`node $T/client.mjs parallel ${to(each)} 7007 ${CONNECTIONS}`, {
          seconds: 60,
        });
        expect(JSON.parse(text)).toEqual({ done: CONNECTIONS, failed: 0, first: "" });
      }
      const after = await settled(net, before);
      expect(after.flows).toBe(before.flows);
      expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + STOCK);
    });
  }, 180_000);

  test("one connection that is not read, in each direction, does not hold up 50 others", async () => {
    await withNetwork(stage(), { options }, async (net) => {
      await startLittleServers(server(net), EVERY_ADDRESS);
      for (const family of FAMILIES) {
        const text = await client(net).run(`node $T/client.mjs fair ${to(family)} 50`, { seconds: 20 });
        expect(JSON.parse(text)).toEqual({ done: 50, failed: 0, first: "", more: true });
      }
    });
  }, 60_000);

  test("a range of 100 UDP ports", async () => {
    const [option = ""] = options.filter((word) => word === "-u" || word === "-U");
    const range = [...options, option, "7500-7599:4500-4599"];
    await withNetwork(stage(), { options: range }, async (net) => {
      await startLittleServers(server(net), "4500-4599");
      for (const family of FAMILIES) {
        const text = await client(net).run(`node $T/client.mjs range ${to(family)} 7500 100`);
        const wanted = Array.from({ length: 100 }, (_, at) => [7500 + at, `${4500 + at} ${7500 + at}`]);
        expect(JSON.parse(text)).toEqual(Object.fromEntries(wanted));
      }
    });
  }, 60_000);
});

test("as many ports as descriptors may be open, up to 60,000, each of them open", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const limit = Number(await net.user.run("ulimit -Hn"));
    const count = Math.min(PORTS_MAX, (Number.isNaN(limit) ? PORTS_MAX : limit) - SPARE_FILES);
    const last = 2000 + count - 1;
    await net.startContainer(["-t", `2000-${last}:2000-${last}`]);
    expect(await net.outside.run("ss -Hlnt | wc -l")).toBe(`${count}\n`);
    await startLittleServers(net.container, EVERY_ADDRESS);
    const ports = [2000, 2000 + Math.floor(count / 2), last];
    await net.container.start(`socat TCP6-LISTEN:${last},ipv6only=0,fork EXEC:cat`, { port: last });
    for (const { outside } of FAMILIES) {
      const text = await net.peer.run(`node $T/client.mjs sequential ${outside} ${last} 1`);
      expect(JSON.parse(text)).toMatchObject({ done: 1 });
      for (const port of ports.slice(0, 2)) {
        const refused = await net.peer.run(`node $T/client.mjs outcome ${outside} ${port}`);
        expect(JSON.parse(refused)).toMatchObject({ outcome: "ECONNRESET" });
      }
    }
    await net.stopContainer();
    await expectNothingLeft(net);
  });
}, 120_000);

test("more ports than descriptors may be open are refused, and nothing is left", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const command = `ulimit -n 2000; ${stage().bucatini} run -t 10000-12999 -- true`;
    const ended = await net.user.attempt(command);
    expect(ended.stderr).toMatch(/^bucatini: .*(ulimit -n|open files)/);
    expect(ended.stderr.trim().split("\n")).toHaveLength(1);
    expect(ended.code).toBe(EXIT_CODES.PORT_LIMIT);
    expect(await net.outside.run("ss -Hlnt")).toBe("");
    await expectNothingLeft(net);
  });
}, 60_000);
