/** A container that is there before the host's network gets it when the host does, and gives it back. */
import { expect, test } from "@jest/globals";
import { FAMILIES, type Family } from "../support/families.ts";
import {
  ADDRESS_4,
  ADDRESS_6,
  expectInside,
  LINK_UP,
  NETWORK_4,
  NETWORK_6,
  NO_NETWORK,
  ROUTES_4,
  ROUTES_6,
  SECOND,
  SECOND_DEFAULTS,
  secondCable,
} from "../support/following.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { startDnsmasq, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const [IPV4, IPV6] = FAMILIES;
/** Without a network the container reaches the host itself. */
const LOCAL_ROUTES_4 = ["169.254.0.0/16", "default via 169.254.2.2"];
const LOCAL_ROUTES_6 = ["default via fe80::1"];
const NOTHING_YET = {
  name: "tap0",
  mtu: 65_520,
  addresses: ["169.254.2.1/16"],
  routes: [...LOCAL_ROUTES_4, ...LOCAL_ROUTES_6],
};

async function withoutNetwork(body: (net: Network) => Promise<void>): Promise<void> {
  await withNamespaces(stage(), {}, async (net) => {
    await startNginx(net);
    await net.peer.run("echo found > $T/www/late");
    await startDnsmasq(net.peer, [IPV4.peer, IPV6.peer]);
    await net.outside.run(NO_NETWORK);
    await body(net);
    await net.stopContainer();
    await net.outside.run("ip link delete wan0 2>/dev/null || true");
    await expectNothingLeft(net);
  });
}

/** Real programs reach real peers by these families. */
async function expectConnected(net: Network, ...families: readonly Family[]): Promise<void> {
  expect(await net.container.run("dig +short +tries=2 +time=2 www.test")).toBe("192.0.2.7\n");
  for (const { digit, peer, peerHost } of families) {
    await net.container.run(`ping -${digit} -c 1 -W 5 ${peer}`);
    expect(await net.container.run(`curl -sS -m 5 http://${peerHost}/late`)).toBe("found\n");
  }
}

test("R8: a host that gets IPv4 and some time later IPv6", async () => {
  await withoutNetwork(async (net) => {
    await net.startContainer();
    await expectInside(net.container, NOTHING_YET);
    await net.outside.run(`${LINK_UP}; ip link set eth0 mtu 1400; ${NETWORK_4}`);
    const link = { name: "eth0", mtu: 1400 };
    const routes = [...ROUTES_4, ...LOCAL_ROUTES_6].toSorted();
    await expectInside(net.container, { ...link, addresses: [ADDRESS_4], routes });
    await expectConnected(net, IPV4);
    await net.outside.run(NETWORK_6);
    const both = [...ROUTES_4, ...ROUTES_6].toSorted();
    await expectInside(net.container, { ...link, addresses: [ADDRESS_4, ADDRESS_6], routes: both });
    await expectConnected(net, IPV4, IPV6);
  });
}, 60_000);

test("R8: a host that gets IPv6 and some time later IPv4", async () => {
  await withoutNetwork(async (net) => {
    await net.startContainer();
    await net.outside.run(`${LINK_UP}; ${NETWORK_6}`);
    await expectInside(net.container, {
      name: "eth0",
      mtu: 1500,
      addresses: ["169.254.2.1/16", ADDRESS_6],
      routes: [...LOCAL_ROUTES_4, ...ROUTES_6].toSorted(),
    });
    await expectConnected(net, IPV6);
    await net.outside.run(NETWORK_4);
    // The address that the question for a name came from may still wait for an answer.
    const routes: unknown = expect.arrayContaining([...ROUTES_4, ...ROUTES_6]);
    await expectInside(net.container, { addresses: [ADDRESS_4, ADDRESS_6], routes });
    await expectConnected(net, IPV4, IPV6);
  });
}, 60_000);

test.each([
  ["-4", [ADDRESS_4], ROUTES_4, IPV4],
  ["-6", [ADDRESS_6], ROUTES_6, IPV6],
] as const)(
  "with %s there is nothing of the other family, before and after",
  async (option, addresses, routes, family) => {
    await withoutNetwork(async (net) => {
      await net.startContainer([option]);
      const isFour = option === "-4";
      await expectInside(net.container, {
        name: "tap0",
        addresses: isFour ? NOTHING_YET.addresses : [],
        routes: isFour ? LOCAL_ROUTES_4 : LOCAL_ROUTES_6,
      });
      await net.outside.run(`${LINK_UP}; ${NETWORK_6}; ${NETWORK_4}`);
      await expectInside(net.container, { name: "eth0", addresses, routes });
      await expectConnected(net, family);
    });
  },
  60_000,
);

test("R1: --interface names the host's, --ifname the one inside, and neither says anything of the other", async () => {
  await withoutNetwork(async (net) => {
    await net.outside.run(`${LINK_UP}; ${NETWORK_4}; ${NETWORK_6}`);
    // As the host's other interface is called, and as ours is when nothing is known yet.
    for (const name of ["eth0", "tap0"]) {
      await net.startContainer(["--interface", "wan0", "--ifname", name]);
      await expectInside(net.container, { ...NOTHING_YET, name });
      await net.outside.run(secondCable());
      await expectInside(net.container, { name, mtu: 1500, addresses: SECOND.addresses });
      await net.outside.run("ip link delete wan0");
      await expectInside(net.container, { ...NOTHING_YET, name });
      await net.stopContainer();
    }
    await net.startContainer(["--interface", "wan0"]);
    await net.outside.run(secondCable());
    await expectInside(net.container, { name: "wan0", addresses: SECOND.addresses });
  });
}, 60_000);

test("R2: whether it follows is what was asked for, whatever interfaces are called and whatever there is", async () => {
  await withoutNetwork(async (net) => {
    const policy = async (): Promise<unknown> =>
      (JSON.parse(await net.user.run(`${net.stage.bucatini} status --json`)) as { policy: unknown }).policy;
    await net.startContainer(["--ifname", "tap0"]);
    const before = await policy();
    expect(before).toMatchObject({ follow: true, addressing: "mirror" });
    await net.outside.run(`${LINK_UP}; ${NETWORK_4}`);
    await expectInside(net.container, { name: "tap0", addresses: [ADDRESS_4] });
    expect(await policy()).toEqual(before);
    await net.outside.run(NO_NETWORK);
    await expectInside(net.container, NOTHING_YET);
    expect(await policy()).toEqual(before);
  });
}, 60_000);

test("an interface is released when it has nothing left, and the next one that has something is followed", async () => {
  await withoutNetwork(async (net) => {
    await net.startContainer();
    await net.outside.run(`${LINK_UP}; ${NETWORK_6}; ${NETWORK_4}`);
    await expectInside(net.container, { name: "eth0", addresses: [ADDRESS_4, ADDRESS_6] });
    await net.outside.run(NO_NETWORK);
    // The name stays: programs may know it.
    await expectInside(net.container, { ...NOTHING_YET, name: "eth0" });
    await net.outside.run(`${secondCable()}; ${SECOND_DEFAULTS}`);
    await expectInside(net.container, { name: "eth0", ...SECOND });
    await expectConnected(net, IPV4, IPV6);
    await net.outside.run(`ip link delete wan0; ${LINK_UP}; ${NETWORK_4}; ${NETWORK_6}`);
    await expectInside(net.container, { name: "eth0", addresses: [ADDRESS_4, ADDRESS_6] });
    await expectConnected(net, IPV4, IPV6);
  });
}, 60_000);
