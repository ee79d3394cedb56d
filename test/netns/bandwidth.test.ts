/** Limits of bandwidth: what arrives in a time, in each direction, by TCP and UDP. */
import { expect, test } from "@jest/globals";
import { withNetwork, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const MBIT = 1e6;
const PEER = "203.0.113.1";
const LIMITS = ["--bandwidth-in", "16mbit", "--bandwidth-out", "8m"];

interface Results {
  readonly end: { readonly sum_received: { readonly bits_per_second: number } };
}

/** Megabits in a second that a receiver sees in 2 s. */
async function rate(net: Network, port: number, words: string): Promise<number> {
  await net.peer.start(`iperf3 -s -1 -p ${port}`, { port });
  const command = `iperf3 -c ${PEER} -p ${port} -J -t 2 ${words}`;
  const { end } = JSON.parse(await net.container.run(command, { seconds: 30 })) as Results;
  return end.sum_received.bits_per_second / MBIT;
}

test("TCP gets the rate each way, over several connections, and UDP does", async () => {
  await withNetwork(stage(), { options: LIMITS }, async (net) => {
    for (const [i, [words, limit]] of (
      [
        ["-R -P 8", 16],
        ["-P 8", 8],
        ["-R -u -b 24M -l 1200", 16],
        ["-u -b 12M -l 1200", 8],
      ] as const
    ).entries()) {
      const mbit = await rate(net, 5201 + i, words);
      expect(`"${words}" ${mbit > limit * 0.75 && mbit < limit * 1.25 ? limit : mbit}`).toBe(
        `"${words}" ${limit}`,
      );
    }
  });
}, 120_000);

test("both ways at once: each gets its rate, and a new connection and a ping pass", async () => {
  await withNetwork(stage(), { options: LIMITS }, async (net) => {
    const both = [rate(net, 5201, ""), rate(net, 5202, "-R")];
    const others = net.container.run(`sleep 1; ping -c 3 -i 0.2 ${PEER} >&2 && echo pong`, { seconds: 10 });
    const [out, into] = await Promise.all(both);
    expect(out).toBeGreaterThan(6);
    expect(out).toBeLessThan(10);
    expect(into).toBeGreaterThan(12);
    expect(into).toBeLessThan(20);
    expect(await others).toBe("pong\n");
    const status = JSON.parse(await net.user.run(`${net.stage.bucatini} status --json`)) as Status;
    expect(status.bandwidth.ingress.rate).toBe(2_000_000);
    // Acknowledgements wait behind what the container sends, and are no losses for that.
    expect(status.counters.tcpRetransmits ?? 0).toBeLessThan(10);
  });
}, 60_000);

interface Status {
  readonly bandwidth: { readonly ingress: { readonly rate: number } };
  readonly counters: { readonly tcpRetransmits?: number };
}

test("what is between the two loopbacks has no limit", async () => {
  await withNetwork(stage(), { options: [...LIMITS, "-t", "5201"] }, async (net) => {
    await net.container.start("iperf3 -s", { port: 5201 });
    const json = await net.outside.run("iperf3 -c 127.0.0.1 -J -t 1", { seconds: 10 });
    expect((JSON.parse(json) as Results).end.sum_received.bits_per_second).toBeGreaterThan(200 * MBIT);
  });
}, 30_000);
