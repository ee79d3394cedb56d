/** With --ra the engine is an IPv6 router, for programs and kernels that configure an interface by themselves. */
import { expect, test } from "@jest/globals";
import { withNetwork } from "../support/network.ts";
import { createPayload, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const RESOLV_CONF = "nameserver 203.0.113.1\nsearch corp.test lab.test\n";
/** The kernel takes advertisements from now on, forgets those before, and a program asks for one. */
const ASK = `echo 2 > /proc/sys/net/ipv6/conf/eth0/accept_ra
  ip -6 route flush proto ra
  rdisc6 -1 -r 2 -w 1000 eth0`;

test("rdisc6 and the kernel get prefix, default route, MTU, resolver and search list", async () => {
  const sha256 = await createPayload(stage(), "payload", 1 << 20);
  await withNetwork(stage(), { options: ["--ra"], resolvConf: RESOLV_CONF }, async (net) => {
    const told = await net.container.run(ASK);
    expect(told).toMatch(/^ *Router lifetime +: +65535 /m);
    expect(told).toMatch(/^ *Prefix +: 2001:db8:1::\/64$/m);
    expect(told).toMatch(/^ *MTU +: +1500 /m);
    expect(told).toMatch(/^ *Recursive DNS server +: fd62:7563:6174:696e::53$/m);
    expect(told).toMatch(/^ *DNS search list +: corp\.test lab\.test *$/m);
    const from = /^ *from (fe80::\S+)$/m.exec(told)?.[1];

    const routes = await net.container.run("ip -6 route show proto ra");
    expect(routes).toContain(`default via ${from} dev eth0`);
    const own = await net.container.run(
      `until ip -6 -o address show dev eth0 dynamic -tentative | grep -q mngtmpaddr; do sleep 0.05; done
      ip -6 -o address show dev eth0 dynamic`,
    );
    const address = /inet6 (2001:db8:1:\S+)\/64/.exec(own)?.[1];
    await startNginx(net);
    const command = `curl -sS --fail --interface ${address} http://[2001:db8:2::1]/payload | sha256sum`;
    expect((await net.container.run(command)).trim()).toBe(sha256);
  });
}, 60_000);

test("without the option nobody is told anything", async () => {
  await withNetwork(stage(), {}, async (net) => {
    const asked = await net.container.attempt(ASK);
    expect(asked.stdout).toContain("No response.");
    expect(await net.container.run("ip -6 route show proto ra; ip -6 address show dynamic")).toBe("");
  });
}, 60_000);
