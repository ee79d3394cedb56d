/** The container's routes follow the host's, whatever they depend on and in whatever order they change. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import {
  ADDRESS_4,
  ADDRESS_6,
  expectInside,
  expectSoon,
  ROUTES_4,
  ROUTES_6,
  SECOND,
  SECOND_DEFAULTS,
  secondCable,
} from "../support/following.ts";
import { withNamespaces, withNetwork } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const [IPV4, IPV6] = FAMILIES;
/** Where no route leads to the resolver's address inside, one is added for it. */
const RESOLVER_4 = "169.254.1.1";
const RESOLVER_6 = "fd62:7563:6174:696e::53";

test("a VPN comes up and goes down: the default routes move to its interface and back, and connections go on", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside
      .run(`ip route replace default via 198.51.100.1 metric 100; ip route del default metric 0 || true
      ip -6 route del default; ip route add default via 2001:db8:1::1 metric 2000`);
    await net.startContainer();
    const before = [
      "198.51.100.0/24",
      "2001:db8:1::/64",
      "default via 198.51.100.1 metric 100",
      "default via 2001:db8:1::1 metric 2000",
    ];
    await expectInside(net.container, { routes: before });
    await net.peer.start("socat TCP6-LISTEN:7,ipv6only=0,fork EXEC:cat", { port: 7 });
    const talks = await Promise.all(
      FAMILIES.map(({ digit, peerHost }) => net.container.start(`socat - TCP${digit}:${peerHost}:7`)),
    );
    const say = async (text: string): Promise<void> => {
      for (const talk of talks) {
        talk.child.stdin?.write(`${text}\n`);
        await expectSoon(async () => {
          expect(talk.output()).toContain(text);
        });
      }
    };
    await say("before");
    await net.outside.run(`${secondCable("vpn0")}
      ${SECOND_DEFAULTS}`);
    await expectInside(net.container, {
      ...SECOND,
      deprecated: [ADDRESS_4, ADDRESS_6],
      routes: expect.arrayContaining(SECOND.routes),
    });
    await say("during");
    for (const { digit, peerHost } of FAMILIES) {
      expect(await net.container.run(`echo new | socat -t 5 - TCP${digit}:${peerHost}:7`)).toBe("new\n");
    }
    await net.outside.run("ip link delete vpn0");
    await expectInside(net.container, { addresses: [ADDRESS_4, ADDRESS_6], deprecated: [], routes: before });
    await say("after");
    for (const { digit, peer } of FAMILIES) await net.container.run(`ping -${digit} -c 1 -W 5 ${peer}`);
    await net.stopContainer();
  });
}, 60_000);

test("several default routes: the one with the lowest metric leads, and the next one when it goes", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.outside.run(`
      for metric in 50 600; do ip route add default via 198.51.100.$metric metric $metric 2>/dev/null ||
        ip route add default via 198.51.100.60 metric $metric; done
      ip route add default via 2001:db8:1::50 metric 50
      ip route add 203.0.113.64/26 via 198.51.100.1 metric 5; ip route add 203.0.113.64/26 via 198.51.100.50 metric 7`);
    const all = [
      ...ROUTES_4,
      "default via 198.51.100.50 metric 50",
      "default via 198.51.100.60 metric 600",
      "203.0.113.64/26 via 198.51.100.1 metric 5",
      "203.0.113.64/26 via 198.51.100.50 metric 7",
      ...ROUTES_6,
      "default via 2001:db8:1::50 metric 50",
    ];
    await expectInside(net.container, { routes: all.toSorted() });
    await net.outside.run(`ip route del default metric 0; ip route del 203.0.113.64/26 metric 5
      ip -6 route del default metric 50; ip route replace 203.0.113.64/26 via 198.51.100.51 metric 7`);
    await expectInside(net.container, {
      routes: [
        "198.51.100.0/24",
        "203.0.113.64/26 via 198.51.100.51 metric 7",
        ...ROUTES_6,
        "default via 198.51.100.50 metric 50",
        "default via 198.51.100.60 metric 600",
      ].toSorted(),
    });
    expect(await net.container.run("ip route get 203.0.113.1")).toContain("via 198.51.100.50 ");
  });
}, 60_000);

/** What leads to the gateway, what goes through it whose destination comes before it and behind it, and as default. */
const ON_LINK_4 = "203.0.113.200/32 dev eth0";
const BEHIND_4 = ["203.0.113.128/28", "203.0.113.208/28", "192.168.0.0/16", "default"];
const ON_LINK_6 = "2001:db8:7::9/128 dev eth0";
const BEHIND_6 = ["2001:db8:6::/48", "2001:db8:9::/48", "default"];

test("R8: routes through gateways that other routes lead to, in every order in which a host may have them", async () => {
  await withNetwork(stage(), {}, async (net) => {
    const wanted = [
      "198.51.100.0/24",
      "2001:db8:1::/64",
      "203.0.113.200",
      "2001:db8:7::9",
      ...BEHIND_4.map((prefix) => `${prefix} via 203.0.113.200`),
      ...BEHIND_6.map((prefix) => `${prefix} via 2001:db8:7::9`),
    ].toSorted();
    const through = (verb: string): string =>
      [
        ...BEHIND_4.map((prefix) => `ip route ${verb} ${prefix} via 203.0.113.200`),
        ...BEHIND_6.map((prefix) => `ip -6 route ${verb} ${prefix} via 2001:db8:7::9`),
      ].join("\n");
    await net.outside.run(`ip route flush default; ip -6 route flush default
      ip route add ${ON_LINK_4}; ip route add ${ON_LINK_6}; ${through("add")}`);
    await expectInside(net.container, { routes: wanted });
    // The way to the gateway goes, what goes through it stays.
    await net.outside.run(`ip route del ${ON_LINK_4}; ip route del ${ON_LINK_6}`);
    await expectInside(net.container, {
      routes: wanted.filter((line) => !/^(203.0.113.200|2001:db8:7::9)$/.test(line)),
    });
    // Now they are changed, and nothing leads to the gateway here or there.
    await net.outside.run(`ip route add ${ON_LINK_4}; ip route add ${ON_LINK_6}
      ${through("del")}; ip route del default via 203.0.113.200 2>/dev/null || true`);
    await expectInside(net.container, {
      routes: [
        RESOLVER_4,
        "198.51.100.0/24",
        "2001:db8:1::/64",
        "2001:db8:7::9",
        "203.0.113.200",
        RESOLVER_6,
      ],
    });
    await net.outside.run(`${through("add")}; ip route del ${ON_LINK_4}; ip route del ${ON_LINK_6}`);
    await expectInside(net.container, {
      routes: wanted.filter((line) => !/^(203.0.113.200|2001:db8:7::9)$/.test(line)),
    });
    await net.container.run("ip route get 203.0.113.210 | grep -q 'via 203.0.113.200 '");
  });
}, 60_000);

test("gateways that are on the link because the host says so, and with a prefix that says so later", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.outside.run(`
      ip route replace default via 203.0.113.250 dev eth0 onlink
      ip -6 route del default; ip -6 route add default via 2001:db8:8::1 dev eth0 onlink
      ip route add 203.0.113.64/26 via inet6 fe80::7 dev eth0`);
    const routes = [
      "198.51.100.0/24",
      "2001:db8:1::/64",
      "203.0.113.64/26 via inet6 fe80::7",
      "default via 2001:db8:8::1 onlink",
      "default via 203.0.113.250 onlink",
    ];
    await expectInside(net.container, { routes });
    await net.outside.run(`ip route replace default via 198.51.100.1; ip -6 route del default
      ip route add default via 2001:db8:1::1; ip route del 203.0.113.64/26`);
    await expectInside(net.container, { routes: [...ROUTES_4, ...ROUTES_6].toSorted() });
    await net.container.run(`ping -c 1 -W 5 ${IPV4.peer}; ping -c 1 -W 5 ${IPV6.peer}`);
  });
}, 60_000);

/** Sets two routes of two next hops each; a share is said by its words. */
const hops = (verb: string, first: string, second: string): string => `
  ip route ${verb} default nexthop via 198.51.100.1 ${first} nexthop via 198.51.100.9 ${second}
  ip -6 route ${verb} 2001:db8:6::/48 nexthop via 2001:db8:1::1 ${first} nexthop via 2001:db8:1::9 ${second}`;

test("routes with several next hops: shares and gateways change, one is left, and several again", async () => {
  await withNetwork(stage(), {}, async (net) => {
    const told = async (): Promise<string> =>
      net.container.run("ip -o route show default; ip -o -6 route show 2001:db8:6::/48");
    const expectHops = (four: RegExp, six: RegExp): Promise<void> =>
      expectSoon(async () => {
        const text = (await told()).replaceAll(/\s+|\\/g, " ");
        expect(text).toMatch(four);
        expect(text).toMatch(six);
      });
    await net.outside.run(hops("replace", "weight 1", "weight 3"));
    await expectHops(
      /default proto \S+ +nexthop via 198.51.100.1 dev eth0 weight 1 +nexthop via 198.51.100.9 dev eth0 weight 3/,
      /2001:db8:6::\/48 .*nexthop via 2001:db8:1::1 dev eth0 weight 1 +nexthop via 2001:db8:1::9 dev eth0 weight 3/,
    );
    await net.outside.run(hops("replace", "weight 5", "weight 2"));
    await expectHops(
      /via 198.51.100.1 dev eth0 weight 5 +nexthop via 198.51.100.9 dev eth0 weight 2/,
      /via 2001:db8:1::1 dev eth0 weight 5 +nexthop via 2001:db8:1::9 dev eth0 weight 2/,
    );
    await net.outside.run(`ip route replace default via 198.51.100.9
      ip -6 route del 2001:db8:6::/48 via 2001:db8:1::1`);
    await expectHops(/default via 198.51.100.9 dev eth0/, /2001:db8:6::\/48 via 2001:db8:1::9 dev eth0/);
    expect(await told()).not.toContain("nexthop");
    await net.outside.run(`ip -6 route del 2001:db8:6::/48; ${hops("replace", "", "")}`);
    await expectHops(
      /nexthop via 198.51.100.1 .*nexthop via 198.51.100.9/,
      /nexthop via 2001:db8:1::1 .*nexthop via 2001:db8:1::9/,
    );
  });
}, 60_000);

test("of a default route through two interfaces the container has the part of its own", async () => {
  await withNetwork(stage(), {}, async (net) => {
    await net.outside.run(`${secondCable()}
      ip route replace default nexthop via 198.51.100.9 dev eth0 nexthop via 198.51.100.129 dev wan0`);
    await expectInside(net.container, { routes: expect.arrayContaining(["default via 198.51.100.9"]) });
    await net.outside.run("ip link delete wan0");
  });
}, 60_000);
