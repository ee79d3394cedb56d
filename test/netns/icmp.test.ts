/** Echo, and the errors of routers on the way: traceroute and path MTU discovery. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { withNetwork } from "../support/network.ts";
import { createPayload, startLittleServers, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

test.each(FAMILIES)(
  "ping over $name: peer, host alias, large, and many at once",
  async (family) => {
    await withNetwork(stage(), {}, async (net) => {
      const ping = `ping -${family.digit} -n -c 3 -i 0.2 -W 2`;
      expect(await net.container.run(`${ping} ${family.peer}`)).toContain(" 0% packet loss");
      expect(await net.container.run(`${ping} ${family.gateway}`)).toContain(" 0% packet loss");
      expect(await net.container.run(`${ping} -s 1400 ${family.peer}`)).toContain(" 0% packet loss");
      const eight = `for i in 1 2 3 4 5 6 7 8; do ${ping} ${family.peer} & done; wait`;
      expect((await net.container.run(eight)).match(/ 0% packet loss/g)).toHaveLength(8);
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "ping over $name to nobody reports what it reports outside",
  async (family) => {
    await withNetwork(stage(), {}, async (net) => {
      const command = `ping -${family.digit} -n -c 1 -W 6 ${family.nobody}`;
      const outside = await net.outside.attempt(command);
      const inside = await net.container.attempt(command);
      expect(outside.stdout).toMatch(/unreachable/i);
      expect(inside.stdout).toMatch(/unreachable/i);
    });
  },
  60_000,
);

test.each(FAMILIES)(
  "traceroute over $name sees the router and the peer",
  async (family) => {
    await withNetwork(stage(), {}, async (net) => {
      const out = await net.container.run(`traceroute -${family.digit} -n -q 1 -w 2 -m 4 ${family.peer}`);
      const hops = out
        .split("\n")
        .slice(1, -1)
        .map((line) => line.trim().split(/\s+/).slice(0, 2).join(" "));
      expect(hops).toEqual([`1 ${family.gateway}`, `2 ${family.peer}`]);
    });
  },
  60_000,
);

const FAR_MTU = 1300;

test.each(FAMILIES)(
  "a narrow link over $name is discovered by datagrams and no obstacle for TCP",
  async (family) => {
    const sha256 = await createPayload(stage(), "payload", 4 << 20);
    await withNetwork(stage(), { farMtu: FAR_MTU }, async (net) => {
      await startLittleServers(net.peer);
      await startNginx(net);
      // 2 is IP_PMTUDISC_DO: the datagram must not be fragmented. It is lost, and the router's answer, which the kernel
      // only takes while the socket is there, sets the route.
      const send = `socat -u -b 2000 - UDP${family.digit}-SENDTO:${family.peerHost}:7${family.digit === "4" ? ",mtudiscover=2" : ""}`;
      await net.container.attempt(`(head -c 1400 /dev/zero; sleep 0.3) | ${send}`);
      expect(await net.container.run(`ip route get ${family.peer}`)).toContain(`mtu ${FAR_MTU}`);

      const echo = await net.container.run(`node $T/client.mjs datagrams ${family.peer} 7 1200 3`);
      expect(JSON.parse(echo)).toEqual({ echoed: 3, lost: 0, wrong: 0, errors: [] });

      const url = `http://${family.peerHost}`;
      expect((await net.container.run(`curl -sS --fail ${url}/payload | sha256sum`)).trim()).toBe(sha256);
      await net.container.run(`curl -sS --fail -T $T/www/payload ${url}/upload`);
      expect((await net.peer.run("sha256sum < $T/www/upload")).trim()).toBe(sha256);
    });
  },
  60_000,
);
