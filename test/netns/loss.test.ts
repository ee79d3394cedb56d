/** Bad links: whole files arrive unchanged, in both directions over both families at once. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork, type Cable } from "../support/network.ts";
import { createPayload, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const MIB = 1 << 20;

interface Case {
  readonly title: string;
  readonly cable: Cable;
  readonly congestionControl: string;
  /** Small enough that the slowest of the four ends in half a minute, by the loss equation of RFC 5348. */
  readonly bytes: number;
}

const CASES: readonly Case[] = [
  {
    title: "0.1 % loss, 20 ms",
    cable: { delayMs: 10, loss: 0.001 },
    congestionControl: "cubic",
    bytes: 8 * MIB,
  },
  {
    title: "0.1 % loss, 200 ms",
    cable: { delayMs: 100, loss: 0.001 },
    congestionControl: "reno",
    bytes: 2 * MIB,
  },
  { title: "2 % loss, 20 ms", cable: { delayMs: 10, loss: 0.02 }, congestionControl: "reno", bytes: 2 * MIB },
  { title: "2 % loss, 20 ms", cable: { delayMs: 10, loss: 0.02 }, congestionControl: "bbr", bytes: 8 * MIB },
  {
    title: "2 % loss, 200 ms",
    cable: { delayMs: 100, loss: 0.02 },
    congestionControl: "bbr",
    bytes: 2 * MIB,
  },
  {
    title: "2 % loss, 200 ms",
    cable: { delayMs: 100, loss: 0.02 },
    congestionControl: "cubic",
    bytes: MIB / 4,
  },
  {
    title: "5 % reordered, 20 ms",
    cable: { delayMs: 10, reorder: 0.05 },
    congestionControl: "cubic",
    bytes: 8 * MIB,
  },
  {
    title: "5 % reordered, 0.1 % loss",
    cable: { reorder: 0.05, loss: 0.001 },
    congestionControl: "reno",
    bytes: 8 * MIB,
  },
];

test.each(CASES)(
  "$title, $congestionControl: transfers are whole",
  async ({ cable, congestionControl, bytes }) => {
    const sha256 = await createPayload(stage(), "payload", bytes);
    await withNetwork(stage(), { cable, congestionControl }, async (net) => {
      await startNginx(net);
      const transfers = FAMILIES.flatMap(({ digit, peerHost }) => [
        net.container.run(`curl -sS --fail http://${peerHost}/payload | sha256sum`, { seconds: 100 }),
        net.container
          .run(`curl -sS --fail -T $T/www/payload http://${peerHost}/upload-${digit}`, { seconds: 100 })
          .then(() => net.peer.run(`sha256sum < $T/www/upload-${digit}`)),
      ]);
      const sums = await Promise.all(transfers);
      expect(sums.map((sum) => sum.trim())).toEqual([sha256, sha256, sha256, sha256]);
    });
  },
  120_000,
);
