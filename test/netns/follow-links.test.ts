/** The host's interfaces go down, away, and by other names, and get another MTU. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import {
  ADDRESS_4,
  ADDRESS_6,
  BOTH,
  expectInside,
  expectSoon,
  LINK_UP,
  NETWORK_4,
  NETWORK_6,
  ROUTES_4,
  SECOND,
  SECOND_DEFAULTS,
  secondCable,
} from "../support/following.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { outputOf } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const ALL = { ...BOTH, name: "eth0", mtu: 1500 };
const ONLY_4 = { addresses: [ADDRESS_4], routes: [...ROUTES_4].toSorted() };
const LOCAL = {
  addresses: ["169.254.2.1/16"],
  routes: ["169.254.0.0/16", "default via 169.254.2.2", "default via fe80::1"],
};

async function expectConnected(net: Network): Promise<void> {
  for (const { digit, peer } of FAMILIES) {
    expect(await net.container.run(`ping -${digit} -c 1 -W 5 ${peer}`)).toContain(" 0% packet loss");
  }
}

// Where it was named there is no other to look for, and it still has its IPv4 address.
test.each([
  ["chosen for its routes", [], LOCAL],
  ["named", ["--interface", "eth0"], { addresses: [ADDRESS_4], deprecated: [] }],
])(
  "the host's link, %s, goes down and up",
  async (_, options, during) => {
    await withNetwork(stage(), { options }, async (net) => {
      await net.outside.run("ip link set eth0 down");
      await expectInside(net.container, during);
      await net.outside.run(`${LINK_UP}; ip address flush dev eth0; ${NETWORK_4}; ${NETWORK_6}`);
      await expectInside(net.container, ALL);
      await expectConnected(net);
    });
  },
  60_000,
);

test("the interface is deleted and made again with the same name", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.outside.run(`ip route flush default; ip -6 route flush default; ${secondCable()}
      ${SECOND_DEFAULTS}`);
    const there = { ...SECOND, name: "eth0" };
    await expectInside(net.container, there);
    // The other one has addresses and routes that are better than nothing.
    await net.outside.run("ip link delete wan0");
    await expectInside(net.container, { addresses: [ADDRESS_4, ADDRESS_6] });
    await net.outside.run(`${secondCable()}
      ${SECOND_DEFAULTS}`);
    await expectInside(net.container, there);
    await expectConnected(net);
    // At once, in the place of the old one.
    await net.outside.run(`ip link delete wan0; ${secondCable()}; ip link set wan0 mtu 1400
      ${SECOND_DEFAULTS}`);
    await expectInside(net.container, { ...there, mtu: 1400 });
    await expectConnected(net);
    await net.outside.run("ip link delete wan0");
  });
}, 60_000);

test("the host's interface gets another name, and connections do not notice", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.peer.start("socat TCP-LISTEN:7,fork EXEC:cat", { port: 7 });
    const talk = await net.container.start("socat - TCP:203.0.113.1:7");
    talk.child.stdin?.write("one\n");
    await outputOf(talk, "one");
    await net.outside.run("ip link set eth0 name uplink7");
    await expectSoon(async () => {
      expect(await net.user.run(`${net.stage.bucatini} status`)).toContain("hostInterface: uplink7");
    });
    await expectInside(net.container, ALL);
    talk.child.stdin?.write("two\n");
    await outputOf(talk, "two");
    await expectConnected(net);
    await net.outside.run("ip link set uplink7 name eth0");
    talk.child.stdin?.end();
    await talk.ended;
  });
}, 60_000);

test("the MTU follows; below 1280 there is no IPv6, and above there is again", async () => {
  await withNetwork(stage(), {}, async (net) => {
    for (const mtu of [1400, 9000, 1280]) {
      await net.outside.run(`ip link set eth0 mtu ${mtu}`);
      await expectInside(net.container, { ...ALL, mtu });
    }
    await net.outside.run("ip link set eth0 mtu 1279");
    await expectInside(net.container, { ...ONLY_4, mtu: 1279 });
    await net.outside.run("ip link set eth0 mtu 600");
    await expectInside(net.container, { ...ONLY_4, mtu: 600 });
    expect(await net.container.run("ping -4 -c 1 -W 5 -s 500 203.0.113.1")).toContain(" 0% packet loss");
    await net.outside.run(`ip link set eth0 mtu 1500; ${NETWORK_6}`);
    await expectInside(net.container, ALL);
    await expectConnected(net);
    expect(await net.container.run("ip -6 -o address show dev eth0 scope link | grep -c inet6")).toBe("1\n");
  });
}, 60_000);

test.each([
  ["--mtu", "1300"],
  ["--mtu", "1279"],
])(
  "%s %s stays, whatever the host's is",
  async (option, value) => {
    await withNetwork(stage(), { options: [option, value] }, async (net) => {
      const mtu = Number(value);
      const addresses = mtu < 1280 ? ["198.51.100.7/32"] : ["198.51.100.7/32", "2001:db8:1::7/128"];
      await net.outside.run(`ip link set eth0 mtu 1400; ip address add 198.51.100.7/32 dev eth0
      ip address add 2001:db8:1::7/128 dev eth0 nodad`);
      await expectInside(net.container, { mtu, addresses: expect.arrayContaining(addresses) });
      await net.outside.run(
        "ip address del 198.51.100.7/32 dev eth0; ip address del 2001:db8:1::7/128 dev eth0",
      );
      await expectInside(net.container, {
        mtu,
        addresses: mtu < 1280 ? [ADDRESS_4] : [ADDRESS_4, ADDRESS_6],
      });
    });
  },
  60_000,
);
