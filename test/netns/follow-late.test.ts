/** Containers that start before the host has a network, and get it with the host. */
import { expect, test } from "@jest/globals";
import { eventually } from "../support/eventually.ts";
import { FAMILIES } from "../support/families.ts";
import { buildNetwork, expectNothingLeft, type Network } from "../support/network.ts";
import { startDnsmasq, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const [IPV4, IPV6] = FAMILIES;

/** The host loses, and gets, its network. */
const DOWN = "ip link set eth0 down; ip address flush dev eth0; ip link set eth0 up";
const UP_4 = "ip address add 198.51.100.2/24 dev eth0; ip route add default via 198.51.100.1";
const UP_6 = "ip address add 2001:db8:1::2/64 dev eth0 nodad; ip -6 route add default via 2001:db8:1::1";

const dig = (net: Network, family: { dnsForward: string }): Promise<string> =>
  net.container.run(`dig +short +tries=1 +timeout=1 @${family.dnsForward} www.test A || true`);
const greeting = (net: Network, family: { peerHost: string; digit: string }): Promise<string> =>
  net.container.run(`curl -s -m 1 -${family.digit} http://${family.peerHost}/hello || true`);
const routes = (net: Network): Promise<string> => net.container.run("ip route; ip -6 route; ip -br address");

/** Waits until the peer can be reached, and fails if it never can. */
async function reaches(net: Network, family: { peerHost: string; digit: string }): Promise<void> {
  const text = await eventually(
    () => greeting(net, family),
    (each) => each === "hello",
  );
  expect(text).toBe("hello");
}

async function withLateHost(
  options: readonly string[],
  body: (net: Network) => Promise<void>,
): Promise<void> {
  const net = await buildNetwork(stage(), { options: [...options, "--dns-forward", IPV4.dnsForward] });
  try {
    await startDnsmasq(net.peer, [IPV4.peer, IPV6.peer]);
    await startNginx(net);
    await net.peer.run("printf hello > $T/www/hello");
    await net.outside.run(DOWN);
    await net.startContainer();
    await body(net);
    await net.stopContainer();
    await expectNothingLeft(net);
  } finally {
    await net.end();
  }
}

test("no network at first, then both families: no restart, and the interface gets the host's name", async () => {
  await withLateHost([], async (net) => {
    expect(await routes(net)).toContain("169.254.2.1/16");
    expect(await net.container.run("ip -br link")).toContain("tap0");
    expect(await greeting(net, IPV4)).toBe("");
    await net.outside.run(`${UP_4}; ${UP_6}; ip link set eth0 mtu 1400`);
    await reaches(net, IPV4);
    await reaches(net, IPV6);
    expect(await dig(net, IPV4)).toBe("192.0.2.7\n");
    const now = await net.container.run("ip -o link; ip -br address");
    expect(now).toMatch(/ eth0: .* mtu 1400 /);
    expect(now).not.toMatch(/tap0|169\.254/);
  });
});

test.each([
  ["IPv4", UP_4, IPV4, UP_6, IPV6],
  ["IPv6", UP_6, IPV6, UP_4, IPV4],
])("%s first, the other family later", async (_, up, family, later, other) => {
  await withLateHost([], async (net) => {
    await net.outside.run(up);
    await reaches(net, family);
    expect(await greeting(net, other)).toBe("");
    await net.outside.run(later);
    await reaches(net, other);
    expect(await greeting(net, family)).toBe("hello");
  });
});

test("R1: the interface that is waited for is the one named for the host, whatever the container's is called", async () => {
  await withLateHost(["--interface", "wan7", "--ifname", "inside0"], async (net) => {
    // The first with a network is not the one that was named.
    await net.outside.run(UP_4);
    await net.outside.run(
      "ip link add wan7 type veth peer name far7; ip link set far7 up; ip link set wan7 up",
    );
    expect(await routes(net)).toContain("169.254.2.1/16");
    await net.outside.run("ip address add 203.0.113.200/32 dev wan7");
    await eventually(
      () => routes(net),
      (text) => text.includes("203.0.113.200"),
    );
    const now = await routes(net);
    expect(now).toMatch(/^inside0 .*203\.0\.113\.200\/32/m);
    expect(now).not.toMatch(/198\.51\.100\.2\b|169\.254|wan7/);
    await net.outside.run("ip link delete wan7");
  });
});

test("R2: that a container waits is no matter of its interface's name", async () => {
  // As the kernel would name it, and as a container without network has it.
  await withLateHost(["--ifname", "tap0"], async (net) => {
    await net.outside.run(UP_4);
    await reaches(net, IPV4);
    expect(await net.container.run("ip -br link")).toContain("tap0");
  });
});

test("the interface goes, another one takes its place, and it comes back", async () => {
  await withLateHost([], async (net) => {
    await net.outside.run(UP_4);
    await eventually(
      () => routes(net),
      (text) => text.includes("198.51.100.2/24"),
    );
    await net.outside.run(`ip link add vpn0 type veth peer name far0; ip link set far0 up; ip link set vpn0 up
      ip address add 203.0.113.201/28 dev vpn0; ip route add default via 203.0.113.202 dev vpn0 metric 10
      ip route del default via 198.51.100.1`);
    const vpn = await eventually(
      () => routes(net),
      (text) => text.includes("203.0.113.202"),
    );
    expect(vpn).toMatch(/default via 203\.0\.113\.202 .*metric 10/);
    expect(vpn).not.toContain("198.51.100");
    await net.outside.run("ip route add default via 198.51.100.1; ip link del vpn0");
    const back = await eventually(
      () => routes(net),
      (text) => text.includes("default via 198.51.100.1"),
    );
    expect(back).not.toContain("203.0.113.202");
    expect(back).toContain("198.51.100.2/24");
    await reaches(net, IPV4);
  });
});
