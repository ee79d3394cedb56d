/** Ports that come and go under the hands of clients: who was let in is served. */
import { expect, test } from "@jest/globals";
import { EVERY_ADDRESS } from "../support/crossings.ts";
import { FAMILIES } from "../support/families.ts";
import { withNetwork, type Network } from "../support/network.ts";
import type { Space } from "../support/space.ts";
import { startLittleServers } from "../support/servers.ts";
import { outputOf } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const SOCKET = "$XDG_RUNTIME_DIR/bucatini/web/control.sock";
const CHANGES = 400;
/** From far away few arrive in the moments when the port is open. */
const CLIENTS = 64;
/** So many met the port open, and so many closed, or the test says nothing. */
const LEAST = 20;

const CASES = [
  { name: "over the TAP", options: {}, from: (net: Network) => net.peer, to: FAMILIES[0].outside },
  {
    name: "from far away",
    options: { cable: { delayMs: 30 } },
    from: (net: Network) => net.peer,
    to: FAMILIES[1].outside,
  },
  { name: "past the TAP", options: {}, from: (net: Network) => net.outside, to: "127.0.0.1" },
];

/** Lets clients connect to the port that changes, until the changes are done. */
async function race(space: Space, to: string, changes: Promise<string>): Promise<Record<string, unknown>> {
  const clients = await space.start(`node $T/ports-race.mjs ${to} 7107 ${CLIENTS}`, { says: "racing" });
  await changes;
  clients.child.stdin?.end();
  await outputOf(clients, "connected");
  return JSON.parse(clients.output().trim().split("\n").at(-1)!);
}

test.each(CASES)(
  "$name",
  async ({ options, from, to }) => {
    await withNetwork(stage(), { ...options, options: ["--name", "web", "-t", "7007:7"] }, async (net) => {
      await startLittleServers(net.container, EVERY_ADDRESS);
      const changes = net.outside.run(`node $T/ports-loop.mjs ${SOCKET} ::1 7107 ${CHANGES}`, {
        seconds: 100,
      });
      const { connected, refused, ...rest } = await race(from(net), to, changes);
      expect(rest).toEqual({ lost: 0, first: "" });
      expect(connected).toBeGreaterThan(LEAST);
      expect(refused).toBeGreaterThan(LEAST);
      expect(JSON.parse(await changes)).toMatchObject({ changes: CHANGES, first: "" });
    });
  },
  120_000,
);
