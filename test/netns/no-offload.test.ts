/** Without offloads of the TAP the engine computes checksums and cuts segments itself: everything arrives all the same. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { createPayload, startDnsmasq, startLittleServers, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const SIZES = [0, 1, 1200, 1472, 1473, 60_000];

test.each(FAMILIES)(
  "curl, dig, datagrams and ping over $name with --no-offload",
  async ({ digit, peer, peerHost }) => {
    const sha256 = await createPayload(stage(), "payload", 64 << 20);
    await withNetwork(stage(), { options: ["--no-offload"] }, async (net) => {
      await startNginx(net);
      await startDnsmasq(net.peer, [peer]);
      await startLittleServers(net.peer);
      const features = await net.container.run("ethtool -k eth0");
      expect(features).toContain("tx-checksumming: off");
      expect(features).toContain("tcp-segmentation-offload: off");

      const url = `http://${peerHost}`;
      const down = await net.container.run(`curl -sS --fail ${url}/payload | sha256sum`, { seconds: 30 });
      expect(down.trim()).toBe(sha256);
      await net.container.run(`curl -sS --fail -T $T/www/payload ${url}/upload`, { seconds: 30 });
      expect((await net.peer.run("sha256sum < $T/www/upload; rm $T/www/upload")).trim()).toBe(sha256);

      for (const transport of ["+notcp", "+tcp"]) {
        const answer = await net.container.run(`dig +short +time=3 +tries=1 ${transport} @${peer} www.test`);
        expect(answer).toBe("192.0.2.7\n");
      }
      const seen: Record<number, unknown> = {};
      for (const size of SIZES) {
        const echo = await net.container.run(`node $T/client.mjs datagrams ${peer} 7 ${size} 5`);
        seen[size] = JSON.parse(echo);
      }
      const wanted = { echoed: 5, lost: 0, wrong: 0, errors: [] };
      expect(seen).toEqual(Object.fromEntries(SIZES.map((size) => [size, wanted])));
      const ping = await net.container.run(`ping -${digit} -n -c 3 -i 0.2 -W 2 -s 1400 ${peer}`);
      expect(ping).toContain(" 0% packet loss");
    });
  },
  120_000,
);
