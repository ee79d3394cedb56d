/** Large transfers with real programs: whole files arrive unchanged in both directions, many streams share a link. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { createPayload, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const GIB = 1 << 30;

test("curl moves a file of 1 GiB in both directions over both families", async () => {
  const sha256 = await createPayload(stage(), "payload", GIB);
  await withNetwork(stage(), {}, async (net) => {
    await startNginx(net);
    for (const { name, peerHost } of FAMILIES) {
      const url = `http://${peerHost}`;
      const down = await net.container.run(`curl -sS --fail ${url}/payload | sha256sum`, { seconds: 60 });
      expect(`${name} down ${down.trim()}`).toBe(`${name} down ${sha256}`);
      await net.container.run(`curl -sS --fail -T $T/www/payload ${url}/upload`, { seconds: 60 });
      const up = await net.peer.run("sha256sum < $T/www/upload; rm $T/www/upload", { seconds: 30 });
      expect(`${name} up ${up.trim()}`).toBe(`${name} up ${sha256}`);
    }
  });
}, 300_000);

interface Iperf {
  readonly end: {
    readonly sum_received?: { readonly bytes: number };
    readonly sum?: { readonly bytes: number; readonly lost_percent: number };
  };
}

const MIB = 1 << 20;

test.each(FAMILIES)(
  "iperf3 over $name: up, down, 16 streams each way",
  async ({ digit, peer }) => {
    await withNetwork(stage(), {}, async (net) => {
      await net.peer.start(`iperf3 -${digit} -s`, { port: 5201 });
      for (const mode of ["", "-R", "-P 16", "-P 16 -R"]) {
        const json = await net.container.run(`iperf3 -${digit} -c ${peer} -J -n 256M ${mode}`, {
          seconds: 60,
        });
        const { end } = JSON.parse(json) as Iperf;
        // The receiver stops counting when the sender has queued its last byte: what is in buffers then is missing.
        expect(`${mode} ${end.sum_received!.bytes > 128 * MIB}`).toBe(`${mode} true`);
      }
    });
  },
  300_000,
);

test.each(FAMILIES)(
  "iperf3 over $name: datagrams at 50 Mbit/s",
  async ({ digit, peer }) => {
    await withNetwork(stage(), {}, async (net) => {
      await net.peer.start(`iperf3 -${digit} -s`, { port: 5201 });
      for (const mode of ["", "-R"]) {
        const json = await net.container.run(
          `iperf3 -${digit} -c ${peer} -J -u -b 50M -l 1200 -n 12M ${mode}`,
          { seconds: 30 },
        );
        const { end } = JSON.parse(json) as Iperf;
        expect(end.sum!.bytes).toBeGreaterThanOrEqual(10 * MIB);
        expect(end.sum!.lost_percent).toBeLessThan(5);
      }
    });
  },
  120_000,
);

test.each([16, 6144])(
  "60 downloads of 4 MiB, 20 at a time, with %s KiB of receive buffer on the host: none stalls",
  async (kib) => {
    const sum = await createPayload(stage(), "small", 4 * MIB);
    await withNetwork(stage(), {}, async (net) => {
      const bytes = kib * 1024;
      await net.outside.run(`echo 4096 ${Math.min(bytes, 131_072)} ${bytes} > /proc/sys/net/ipv4/tcp_rmem`);
      await startNginx(net);
      const each = FAMILIES.map(
        ({ peerHost }) => `curl -sS --fail --max-time 20 http://${peerHost}/small | sha256sum`,
      ).join("; ");
      const sums = await net.container.run(`seq 30 | xargs -P 20 -I N sh -c '${each}' | sort | uniq -c`, {
        seconds: 120,
      });
      expect(sums.trim()).toBe(`60 ${sum}`);
    });
  },
  180_000,
);
