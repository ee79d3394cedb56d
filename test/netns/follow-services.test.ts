/** What programs and kernels learn that configure the interface themselves, when the host's network changes. */
import { beforeAll, expect, test } from "@jest/globals";
import { CLIENT_MAC, dhclient, prepareDhcpClients, udhcpc } from "../support/dhcp-clients.ts";
import { expectNothingLeft, type Network, withNamespaces } from "../support/network.ts";
import { outputOf } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const INSIDE = "nsenter --net=/run/netns/red";
/** A change is told again after three seconds; until then it was the first advertisement that did it. */
const AT_ONCE_MS = 2_500;

beforeAll(() => prepareDhcpClients(stage()));

/**
 * A container that nobody has configured: the interface is up, and that is all.
 * @param before what happens to the host before it is connected
 */
async function withBareContainer(body: (net: Network) => Promise<void>, before = ""): Promise<void> {
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside.run(`${before}
      ip netns add red
      ${stage().dir}/dist/bin/pasta -q -I eth0 --ns-mac-addr ${CLIENT_MAC} -t none -u none -T none -U none --netns /run/netns/red
      ${INSIDE} sh -ec '
        echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad
        echo 64 > /proc/sys/net/ipv6/conf/eth0/accept_ra_rt_info_max_plen
        ip link set eth0 up'`);
    await body(net);
    await net.outside.run("ip netns delete red");
    await expectNothingLeft(net);
  });
}

/** Waits until a shell command inside succeeds. */
async function until(net: Network, command: string): Promise<void> {
  await net.outside.run(`${INSIDE} sh -c 'until ${command}; do sleep 0.02; done'`);
}

/** Addresses that the kernel has made, and routes that it was told of. */
const has = (prefix: string): string =>
  `ip -6 -o address show dev eth0 dynamic -deprecated -tentative | grep -q ${prefix}`;
const hadOnly = (prefix: string): string => `ip -6 -o address show dev eth0 deprecated | grep -q ${prefix}`;
const leadsTo = (destination: string): string => `ip -6 route show proto ra | grep -q "^${destination} "`;

test("a kernel that configures itself has the new prefix at once, and its old address is deprecated", async () => {
  await withBareContainer(async (net) => {
    await until(net, has("2001:db8:1:"));
    const start = Date.now();
    await net.outside.run(`ip -6 address add 2001:db8:3::2/64 dev eth0 nodad
      ip -6 address del 2001:db8:1::2/64 dev eth0`);
    await until(net, `${has("2001:db8:3:")} && ${hadOnly("2001:db8:1:")}`);
    expect(Date.now() - start).toBeLessThan(AT_ONCE_MS);
    const told = await net.outside.run(`${INSIDE} rdisc6 -1 eth0`);
    expect(told).toMatch(/Prefix +: 2001:db8:3::\/64\n(?:.*\n){2} +Valid time +: +infinite /);
    expect(told).toMatch(/Prefix +: 2001:db8:1::\/64\n(?:.*\n){2} +Valid time +: +0 .*\n +Pref. time +: +0 /);
  });
}, 60_000);

test("it follows routes, loses IPv6 with the host, and gets it back", async () => {
  await withBareContainer(async (net) => {
    await until(net, `${has("2001:db8:1:")} && ${leadsTo("default")}`);
    await net.outside.run("ip -6 route add 2001:db8:5::/48 via 2001:db8:1::1");
    await until(net, leadsTo("2001:db8:5::/48"));
    expect(await net.outside.run(`${INSIDE} rdisc6 -1 eth0`)).toMatch(/Route +: 2001:db8:5::\/48/);
    await net.outside.run("ip -6 route del default");
    await until(net, `! ${leadsTo("default")}`);
    await until(net, leadsTo("2001:db8:5::/48"));
    await net.outside.run(`ip -6 route add default via 2001:db8:1::1
      ip -6 route del 2001:db8:5::/48`);
    await until(net, `${leadsTo("default")} && ! ${leadsTo("2001:db8:5::/48")}`);

    await net.outside.run("ip -6 address flush dev eth0 scope global");
    await until(net, `! ${leadsTo("default")} && ${hadOnly("2001:db8:1:")}`);
    await net.outside.run(`ip -6 address add 2001:db8:4::2/64 dev eth0 nodad
      ip -6 route replace default via 2001:db8:4::1`);
    await until(net, `${has("2001:db8:4:")} && ${leadsTo("default")}`);
  });
}, 60_000);

/** The host's IPv4 address and gateway are these from now on; the engine knows it when this returns. */
async function move(net: Network, address: string, gateway: string): Promise<void> {
  await net.outside.run(`ip -4 address flush dev eth0
    ip address add ${address}/24 dev eth0
    ip route add default via ${gateway}
    until ${stage().bucatini} status red | tr -s '\\n ' ' ' |
      grep -q "ipv4: addresses: ${address}/24 gateway: ${gateway} "; do sleep 0.02; done`);
}

test("udhcpc comes back, is refused its old address, and finds the server that it knows", async () => {
  await withBareContainer(async (net) => {
    const pid = `${stage().dir}/udhcpc.pid`;
    const client = await net.outside.start(`${INSIDE} ${udhcpc(stage(), `-p ${pid} 2>&1`)}`, {
      says: "bound ip=198.51.100.2/24 router=198.51.100.1 ",
    });
    /** Has it renew its lease. */
    const renew = async (says: string): Promise<void> => {
      const from = client.output().length;
      await net.outside.run(`kill -USR1 $(cat ${pid})`);
      await outputOf(client, says, from);
    };
    await renew("renew ip=198.51.100.2/24 router=198.51.100.1 ");
    await move(net, "198.51.100.7", "198.51.100.1");
    await renew("bound ip=198.51.100.7/24 router=198.51.100.1 ");
    await move(net, "198.51.100.7", "198.51.100.254");
    await renew("renew ip=198.51.100.7/24 router=198.51.100.254 ");
    await move(net, "198.51.100.2", "198.51.100.253");
    await renew("bound ip=198.51.100.2/24 router=198.51.100.253 ");
    expect(client.output().match(/received DHCP NAK|lease lost/gi)).not.toBeNull();
    await client.kill();
  });
}, 60_000);

test("whoever asks before the host has a network gets it when the host does", async () => {
  await withBareContainer(async (net) => {
    const pid = `${stage().dir}/udhcpc.pid`;
    const client = await net.outside.start(`${INSIDE} ${udhcpc(stage(), `-p ${pid} 2>&1`)}`, {
      says: "bound ip=169.254.2.1/16 router=169.254.2.2 ",
    });
    expect(client.output()).toContain(" lease=60 ");
    expect(await net.outside.run(`${INSIDE} rdisc6 -1 eth0`)).toMatch(/Router lifetime +: +0 /);
    await net.outside.run(`ip -6 address add 2001:db8:1::2/64 dev eth0 nodad
      ip -6 route add default via 2001:db8:1::1`);
    await until(net, `${has("2001:db8:1:")} && ${leadsTo("default")}`);
    await move(net, "198.51.100.2", "198.51.100.1");
    await net.outside.run(`kill -USR1 $(cat ${pid})`);
    await outputOf(client, "bound ip=198.51.100.2/24 router=198.51.100.1 ");
    await client.kill();
  }, "ip address flush dev eth0 scope global; ip -6 route flush default");
}, 60_000);

test("dhclient that starts again is refused its old addresses", async () => {
  await withBareContainer(async (net) => {
    const start = async (family: 4 | 6, says: string): Promise<string> => {
      const client = await net.outside.start(`${INSIDE} ${dhclient(stage(), family, "-d 2>&1")}`, { says });
      await net.outside.run(`${INSIDE} ${dhclient(stage(), family, "-x 2>&1")}`);
      await client.ended;
      return client.output();
    };
    await start(4, "BOUND ip=198.51.100.2/");
    await start(6, "BOUND6 ip=2001:db8:1::2/");
    await net.outside.run(
      "ip -6 address flush dev eth0 scope global; ip -6 address add 2001:db8:3::2/64 dev eth0",
    );
    await move(net, "198.51.100.7", "198.51.100.1");
    expect(await start(4, "BOUND ip=198.51.100.7/")).toContain("DHCPNAK from 198.51.100.1");
    await until(net, has("2001:db8:3:"));
    expect(await start(6, "BOUND6 ip=2001:db8:3::2/")).toContain("message status code NotOnLink");
  });
}, 60_000);

test("dhclient that renews its IPv6 addresses gives up the old one and has the new one", async () => {
  await withBareContainer(async (net) => {
    const command = `${INSIDE} ${dhclient(stage(), 6, "-d 2>&1")}`;
    const first = await net.outside.start(command, { says: "BOUND6 ip=2001:db8:1::2/" });
    await net.outside.run(`${INSIDE} ${dhclient(stage(), 6, "-x 2>&1")}`);
    await first.ended;
    // Its address is confirmed; while it is told to wait it becomes time to renew, and the host moves.
    await net.outside.run(`cd ${stage().dir}; sed -i 's/renew 300/renew 1/' 6.leases; touch hold-BOUND6`);
    const client = await net.outside.start(command, { says: "BOUND6 ip=2001:db8:1::2/" });
    await net.outside.run(`ip -6 address add 2001:db8:3::2/64 dev eth0 nodad
      ip -6 address del 2001:db8:1::2/64 dev eth0`);
    await until(net, has("2001:db8:3:"));
    await net.outside.run(`rm ${stage().dir}/hold-BOUND6`);
    await outputOf(client, "RENEW6 ip=2001:db8:3::2/");
    await outputOf(client, "old=2001:db8:1::2");
    const leased = `${INSIDE} ip -6 -o address show dev eth0 | grep -o "inet6 [^ ]*/128"`;
    expect(await net.outside.run(leased)).toBe("inet6 2001:db8:3::2/128\n");
    await client.kill();
  });
}, 60_000);

test("R4: whoever did not ask for it to be configured finds nothing configured inside", async () => {
  await withBareContainer(async (net) => {
    await net.outside.run(`${INSIDE} sh -c 'echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_ra'
      ${INSIDE} ip -6 address flush dev eth0 scope global; ${INSIDE} ip -6 route flush proto ra`);
    const look = (): Promise<string> =>
      net.outside.run(`${INSIDE} sh -c 'ip -o address show dev eth0; ip route; ip -6 route; ip -o link'`);
    const before = await look();
    expect(before).not.toMatch(/198\.51\.100|203\.0\.113|default via/);
    await net.outside.run("ip address add 203.0.113.9/32 dev eth0; ip link set eth0 mtu 1400");
    const status = `${stage().dir}/dist/bin/bucatini status`;
    await net.outside.run(`until ${status} | grep -q 203.0.113.9/32; do sleep 0.05; done`);
    expect(await look()).toBe(before);
  });
}, 60_000);
