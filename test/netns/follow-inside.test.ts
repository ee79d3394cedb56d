/** What programs inside configure themselves is theirs, whatever happens to the host's network. */
import { expect, test } from "@jest/globals";
import {
  ADDRESS_4,
  ADDRESS_6,
  BOTH,
  expectInside,
  expectSoon,
  LINK_UP,
  NETWORK_4,
  NETWORK_6,
  NO_NETWORK,
  ROUTES_4,
} from "../support/following.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
/** An address that the host gets for a moment: once it is gone inside, all events so far have been seen. */
const PROBE = "203.0.113.99/32";

/** Something of the host changes, and the container follows. */
async function somethingHappens(net: Network): Promise<void> {
  await net.outside.run(`ip address add ${PROBE} dev eth0`);
  await expectInside(net.container, { addresses: expect.arrayContaining([PROBE]) });
  await net.outside.run(`ip address del ${PROBE} dev eth0`);
  await expectInside(net.container, { addresses: expect.not.arrayContaining([PROBE]) });
}

test("R11: default routes of its own beside ours: neither is touched, and ours goes on following", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run(`ip route add default via 198.51.100.77 metric 2000
      ip -6 route add default via 2001:db8:1::77 metric 2000`);
    const theirs = ["default via 198.51.100.77 metric 2000", "default via 2001:db8:1::77 metric 2000"];
    await somethingHappens(net);
    await expectInside(net.container, { routes: [...BOTH.routes, ...theirs].toSorted() });
    // For a while the host has none.
    await net.outside.run("ip route flush default; ip -6 route flush default");
    const ours = ["default via 198.51.100.1", "default via 2001:db8:1::1"];
    await expectInside(net.container, { routes: expect.not.arrayContaining(ours) });
    await somethingHappens(net);
    await expectInside(net.container, { routes: expect.arrayContaining(theirs) });
    await net.outside.run("ip route add default via 198.51.100.9; ip route add default via 2001:db8:1::9");
    const next = ["default via 198.51.100.9", "default via 2001:db8:1::9"];
    await expectInside(net.container, {
      routes: ["198.51.100.0/24", "2001:db8:1::/64", ...next, ...theirs].toSorted(),
    });
  });
}, 60_000);

test("R11: in the place of ours, its own stay, and nothing comes beside them when the host's gateway changes", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run(
      "ip route replace default via 198.51.100.77; ip -6 route replace default via 2001:db8:1::77",
    );
    const routes = [
      "198.51.100.0/24",
      "2001:db8:1::/64",
      "default via 198.51.100.77",
      "default via 2001:db8:1::77",
    ];
    await net.outside.run(
      "ip route replace default via 198.51.100.9 metric 5; ip -6 route del default; ip route add default via 2001:db8:1::9",
    );
    await somethingHappens(net);
    await expectInside(net.container, { routes });
    await net.outside.run(NO_NETWORK);
    await expectInside(net.container, { routes: expect.arrayContaining(routes.slice(3)) });
    await net.outside.run(`${LINK_UP}; ${NETWORK_4}; ${NETWORK_6}`);
    await expectInside(net.container, { addresses: BOTH.addresses });
    expect(await net.container.run("ip -6 route show default")).toMatch(
      /^default via 2001:db8:1::77 [^\n]*\n$/,
    );
  });
}, 60_000);

test("R12: an address of its own that differs from the host's in its length only stays when the host's goes", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run(
      "ip address add 198.51.100.2/32 dev eth0; ip address add 198.51.100.78/24 dev eth0; ip address add 2001:db8:1::78/64 dev eth0",
    );
    await net.outside.run(NO_NETWORK);
    await expectInside(net.container, {
      addresses: ["169.254.2.1/16", "198.51.100.2/32", "198.51.100.78/24", "2001:db8:1::78/64"],
      deprecated: [],
    });
    await net.outside.run(`${LINK_UP}; ${NETWORK_4}; ${NETWORK_6}`);
    await expectInside(net.container, {
      addresses: [
        ADDRESS_4,
        "198.51.100.2/32",
        "198.51.100.78/24",
        ADDRESS_6,
        "2001:db8:1::78/64",
      ].toSorted(),
    });
  });
}, 60_000);

test("what was taken away inside does not come back with the host's next change, but with the link", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run("ip route del default; ip -6 address del 2001:db8:1::2/64 dev eth0");
    const left = { addresses: [ADDRESS_4], routes: ["198.51.100.0/24", "default via 2001:db8:1::1"] };
    await somethingHappens(net);
    await expectInside(net.container, left);
    await net.container.run(
      "ip address flush dev eth0; ip route flush table main; ip -6 route flush table main",
    );
    await somethingHappens(net);
    await expectInside(net.container, { addresses: [], deprecated: [] });
    await net.outside.run("ip address add 198.51.100.44/24 dev eth0");
    await expectInside(net.container, { addresses: ["198.51.100.44/24"], routes: ["198.51.100.0/24"] });
  });
}, 60_000);

test("what goes away with the link comes back with it", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run("ip link set eth0 down");
    await net.outside.run("ip address add 198.51.100.44/24 dev eth0");
    await net.container.run("ip link set eth0 up");
    const all = { ...BOTH, addresses: [ADDRESS_4, "198.51.100.44/24", ADDRESS_6] };
    await expectInside(net.container, all);
    for (let i = 0; i < 5; i++) await net.container.run("ip link set eth0 down; ip link set eth0 up");
    await expectInside(net.container, all);
  });
}, 60_000);

test.each([
  ["its own MTU", "ip link set eth0 mtu 1000", "ip link set eth0 mtu 1400", 1000, 1400],
  [
    "a sysctl",
    "echo 1 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
    "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
    1500,
    1500,
  ],
])(
  "R5: IPv6 goes away inside by %s, and comes back",
  async (_, off, on, small, large) => {
    await withNetwork(stage(), {}, async (net) => {
      await net.container.run(off);
      await somethingHappens(net);
      await expectInside(net.container, { mtu: small, addresses: [ADDRESS_4], routes: ROUTES_4 });
      await expectSoon(async () => {
        expect(await net.user.run(`${net.stage.bucatini} status`)).not.toContain(ADDRESS_6);
      });
      await net.container.run(on);
      await expectInside(net.container, { ...BOTH, mtu: large });
      await expectSoon(async () => {
        expect(await net.user.run(`${net.stage.bucatini} status`)).toContain(ADDRESS_6);
      });
      expect(await net.container.run("ping -6 -c 1 -W 5 2001:db8:2::1")).toContain(" 0% packet loss");
      expect(await net.user.run("cat $XDG_RUNTIME_DIR/bucatini/*/engine.log")).not.toContain(
        "not up to date",
      );
    });
  },
  60_000,
);

test("its own MTU and the name that it gave the interface stay", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.container.run("ip link set eth0 mtu 1320; ip link set eth0 name lan7");
    await net.outside.run(`ip link set eth0 mtu 1450; ${NO_NETWORK}`);
    await expectInside(net.container, { name: "lan7", mtu: 1320, addresses: ["169.254.2.1/16"] });
    await net.outside.run(`${LINK_UP}; ${NETWORK_4}; ${NETWORK_6}`);
    await expectInside(net.container, { ...BOTH, name: "lan7", mtu: 1320 });
  });
}, 60_000);
