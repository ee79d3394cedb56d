/** DHCP: real clients configure the interface inside, which nobody else has configured, and it works. */
import { beforeAll, expect, test } from "@jest/globals";
import { CLIENT_MAC, dhclient, prepareDhcpClients, udhcpc } from "../support/dhcp-clients.ts";
import { expectNothingLeft, type Network, withNamespaces, withNetwork } from "../support/network.ts";
import { createPayload, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const RESOLV_CONF = "nameserver 203.0.113.1\nsearch corp.test lab.corp.test\n";

beforeAll(() => prepareDhcpClients(stage()));

/** They end with the first answer, or without. */
const askOnce = (more = ""): string => udhcpc(stage(), `-n -q 2>&1 ${more}`);
const askBoth = (family: 4 | 6, more: string): string => `${dhclient(stage(), family, more)} 2>&1`;
const FORGET = "ip address flush dev eth0 scope global; ip route flush dev eth0 proto boot";

async function canDownload(net: Network, url: string): Promise<void> {
  const sha256 = await createPayload(stage(), "payload", 1 << 20);
  await startNginx(net);
  expect(await net.container.run(`curl -sS --fail --max-time 10 ${url}/payload | sha256sum`)).toBe(
    `${sha256}\n`,
  );
}

test("udhcpc gets address, route, MTU, resolver and search list, and the container reaches the world", async () => {
  await withNetwork(stage(), { options: ["--dhcp"], resolvConf: RESOLV_CONF }, async (net) => {
    const told = await net.container.run(`${FORGET}; ${askOnce()}`);
    expect(told).toMatch(
      /^bound ip=198\.51\.100\.2\/24 router=198\.51\.100\.1 routes= mtu=1500 dns=169\.254\.1\.1 /m,
    );
    expect(told).toContain(" search=corp.test lab.corp.test lease=3600 name=\n");
    expect(await net.container.run("ip -4 route show default")).toContain("via 198.51.100.1 dev eth0");
    await canDownload(net, "http://203.0.113.1");
    // Whatever it wants, there is only this address.
    expect(await net.container.run(`${FORGET}; ${askOnce("-r 192.0.2.7")}`)).toContain("ip=198.51.100.2/24 ");
  });
}, 60_000);

test("dhclient asks for both families, releases them, and is answered each time", async () => {
  const options = ["--dhcp", "--ra", "--mac", CLIENT_MAC];
  await withNetwork(stage(), { options, resolvConf: RESOLV_CONF }, async (net) => {
    const told = await net.container.run(`${FORGET}
      ${askBoth(4, "-1")}
      ${askBoth(4, "-r")}`);
    expect(told).toContain("DHCPACK of 198.51.100.2 from 198.51.100.1");
    expect(told).toContain(
      "ip=198.51.100.2/255.255.255.0 router=198.51.100.1 mtu=1500 dns=169.254.1.1 search=corp.test. lab.corp.test. lease=3600",
    );
    expect(told).toContain("DHCPRELEASE of 198.51.100.2");

    const told6 = await net.container.run(`ip -6 address flush dev eth0 scope global
      ${askBoth(6, "-1")}
      ip -6 address show dev eth0
      ${askBoth(6, "-r")}`);
    expect(told6).toContain(
      "ip=2001:db8:1::2/128 dns=fd62:7563:6174:696e::53 search=corp.test. lab.corp.test. life=3600",
    );
    expect(told6).toContain("inet6 2001:db8:1::2/128 scope global");
    expect(told6).toContain("XMT: Release on eth0");
    await net.container.run(askBoth(6, "-1"));
    await canDownload(net, "http://[2001:db8:2::1]");
  });
}, 60_000);

test("without the option nobody answers", async () => {
  await withNetwork(stage(), {}, async (net) => {
    expect(await net.container.run(`${FORGET}; ${askOnce("-t 1")} || true`)).toContain("no lease, failing");
  });
}, 60_000);

test("the drop-in for pasta leaves the interface to DHCP, and tells what it was asked to tell", async () => {
  await withNamespaces(stage(), { resolvConf: RESOLV_CONF }, async (net) => {
    const told = await net.outside.run(`
      P="${stage().dir}/dist/bin/pasta -q -t none -u none -T none -U none"
      inside() { nsenter --net=/run/netns/red "$@"; }
      ask() {
        ip netns add red
        $P "$@" --netns /run/netns/red
        inside ip -o -4 address show dev eth0
        inside ip link set eth0 up
        inside ${askOnce("|| true")}
        ip netns delete red
      }
      ask
      ask --dhcp-dns --dhcp-search -D 203.0.113.7 -D 2001:db8::7 -S a.test -S b.test -H box --mtu 1400
      ask --dhcp-dns -g 203.0.113.9 -a 192.0.2.44 -n 32
      ask --no-dhcp`);
    const [plain, given, far, none] = told.split(/^(?:.*)started, v.*$/m).slice(1);
    expect(plain).toContain(
      "ip=198.51.100.2/24 router=198.51.100.1 routes= mtu=65520 dns= search= lease=3600 name=\n",
    );
    expect(given).toContain("mtu=1400 dns=203.0.113.7 search=a.test b.test lease=3600 name=box\n");
    expect(far).toContain(
      "ip=192.0.2.44/32 router=203.0.113.9 routes=203.0.113.9/32 0.0.0.0 0.0.0.0/0 203.0.113.9 mtu=65520 dns=203.0.113.1 ",
    );
    // What was given does not follow the host.
    expect(far).toContain(" lease=4294967295 ");
    expect(none).toContain("no lease, failing");
    await expectNothingLeft(net);
  });
}, 60_000);
