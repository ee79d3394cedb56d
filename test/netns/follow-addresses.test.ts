/** The container's addresses follow the host's, and what goes on from an old one comes to its end. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import {
  ADDRESS_4,
  ADDRESS_6,
  expectInside,
  expectSoon,
  NETWORK_4,
  NETWORK_6,
  secondCable,
} from "../support/following.ts";
import { withNetwork, type Network } from "../support/network.ts";
import { createPayload, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const [IPV4, IPV6] = FAMILIES;
const PAYLOAD_BYTES = 20_000_000;
/** An address without connections is looked at once a second. */
const END_DEADLINE_MS = 6_000;

const withHost = (body: (net: Network) => Promise<void>): Promise<void> =>
  withNetwork(stage(), {}, async (net) => {
    await body(net);
    await net.outside.run("ip link delete wan0 2>/dev/null || true");
  });

test.each([
  ["IPv4", IPV4, "203.0.113.1/32 via 198.51.100.129", ADDRESS_4, "198.51.100.7/25", ADDRESS_6],
  ["IPv6", IPV6, "2001:db8:2::1/128 via 2001:db8:3::1", ADDRESS_6, "2001:db8:1::7/64", ADDRESS_4],
])(
  "%s: the address is replaced during a download that goes another way",
  async (_, { peerHost }, detour, old, next, other) => {
    const wanted = await createPayload(stage(), "payload", PAYLOAD_BYTES);
    await withHost(async (net) => {
      await startNginx(net);
      await net.outside.run(`${secondCable()}; ip route add ${detour}`);
      // It waits in the middle until it may go on.
      const download = await net.container.start(
        `sh -c 'curl -sS http://${peerHost}/payload |
          { head -c 1000 | tee $T/begun; until [ -e $T/go ]; do sleep 0.02; done; cat; } | sha256sum; rm $T/begun $T/go'`,
      );
      await net.container.run("until [ -s $T/begun ]; do sleep 0.02; done");
      await net.outside.run(`ip address add ${next} dev eth0; ip address del ${old} dev eth0`);
      const addresses = [next, other].toSorted();
      await expectInside(net.container, { addresses, deprecated: [old] });
      await net.container.run("touch $T/go");
      await download.ended;
      expect(download.output().trim()).toBe(wanted);
      await expectInside(net.container, { addresses, deprecated: [] }, END_DEADLINE_MS);
    });
  },
  60_000,
);

test("the provider's prefix changes: the old address and its routes go at once when nobody uses them", async () => {
  await withHost(async (net) => {
    await net.outside
      .run(`ip address add 2001:db8:8::2/64 dev eth0 nodad; ip address del ${ADDRESS_6} dev eth0
      ip route replace default via fe80::1 dev eth0`);
    await expectInside(net.container, {
      addresses: [ADDRESS_4, "2001:db8:8::2/64"],
      deprecated: [],
      routes: ["198.51.100.0/24", "2001:db8:8::/64", "default via 198.51.100.1", "default via fe80::1"],
    });
  });
}, 60_000);

test("an address that comes back while a connection still has it is as it was", async () => {
  await withHost(async (net) => {
    await net.outside.start("socat TCP-LISTEN:7,fork EXEC:cat", { port: 7 });
    const talk = await net.container.start(`socat - TCP:${IPV4.gateway}:7`);
    const say = async (text: string): Promise<void> => {
      talk.child.stdin?.write(`${text}\n`);
      await expectSoon(async () => {
        expect(talk.output()).toContain(text);
      });
    };
    await say("one");
    await net.outside.run(`ip address add 198.51.100.7/25 dev eth0; ip address del ${ADDRESS_4} dev eth0`);
    await expectInside(net.container, { deprecated: [ADDRESS_4] });
    await say("two");
    await net.outside.run(NETWORK_4);
    await expectInside(net.container, {
      addresses: [ADDRESS_4, "198.51.100.7/25", ADDRESS_6],
      deprecated: [],
    });
    await say("three");
    talk.child.stdin?.end();
    await talk.ended;
  });
}, 60_000);

test("several addresses of each family come and go, and the first of a subnet takes no other with it", async () => {
  await withHost(async (net) => {
    await net.outside.run(`
      ip address add 198.51.100.3/24 dev eth0
      ip address add 198.51.100.4/24 dev eth0
      ip address add 203.0.113.130/26 dev eth0
      ip address add 2001:db8:1::3/64 dev eth0 nodad
      ip address add 2001:db8:5::3/64 dev eth0 nodad`);
    const more = [
      "198.51.100.3/24",
      "198.51.100.4/24",
      "2001:db8:1::3/64",
      "2001:db8:5::3/64",
      "203.0.113.130/26",
    ];
    await expectInside(net.container, { addresses: [ADDRESS_4, ADDRESS_6, ...more].toSorted() });
    // The kernel makes one of the others the first, and keeps the default route.
    await net.outside.run(`echo 1 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries
      ip address del ${ADDRESS_4} dev eth0; ip address del ${ADDRESS_6} dev eth0; ip route replace default via 198.51.100.1`);
    const routes = [
      "198.51.100.0/24",
      "2001:db8:1::/64",
      "2001:db8:5::/64",
      "203.0.113.128/26",
      "default via 198.51.100.1",
      "default via 2001:db8:1::1",
    ];
    await expectInside(net.container, { addresses: more, deprecated: [], routes });
    // Without that, the second one goes with the first.
    await net.outside.run(`echo 0 > /proc/sys/net/ipv4/conf/eth0/promote_secondaries
      ip address del 198.51.100.3/24 dev eth0; ${NETWORK_4}`);
    await expectInside(net.container, { addresses: [ADDRESS_4, ...more.slice(2)], deprecated: [], routes });
    await net.outside.run("ip address flush dev eth0 scope global");
    await expectInside(net.container, { addresses: ["169.254.2.1/16"], deprecated: [] });
    await net.outside.run(`${NETWORK_4}; ${NETWORK_6}`);
    await expectInside(net.container, { addresses: [ADDRESS_4, ADDRESS_6], deprecated: [] });
  });
}, 60_000);

test("R12: prefix length, metric and noprefixroute are part of an address", async () => {
  await withHost(async (net) => {
    await net.outside.run(`
      ip address del ${ADDRESS_4} dev eth0; ip address add 198.51.100.2/25 dev eth0
      ip address del ${ADDRESS_6} dev eth0; ip address add 2001:db8:1::2/96 dev eth0 nodad
      ip route replace default via 198.51.100.1; ip route replace default via 2001:db8:1::1`);
    const defaults = ["default via 198.51.100.1", "default via 2001:db8:1::1"];
    await expectInside(net.container, {
      addresses: ["198.51.100.2/25", "2001:db8:1::2/96"],
      deprecated: [],
      routes: ["198.51.100.0/25", "2001:db8:1::/96", ...defaults],
    });
    // Metrics can be changed in place, this flag cannot.
    await net.outside.run(`
      ip address change 198.51.100.2/25 dev eth0 metric 77
      ip address change 2001:db8:1::2/96 dev eth0 metric 78`);
    await expectInside(net.container, {
      routes: ["198.51.100.0/25 metric 77", "2001:db8:1::/96 metric 78", ...defaults],
    });
    await net.outside.run(`
      ip address del 198.51.100.2/25 dev eth0; ip address add 198.51.100.2/25 dev eth0 noprefixroute
      ip address change 2001:db8:1::2/96 dev eth0 noprefixroute
      ip route add 198.51.100.1 dev eth0; ip route add 2001:db8:1::1 dev eth0
      ip route replace default via 198.51.100.1; ip route replace default via 2001:db8:1::1`);
    await expectInside(net.container, {
      addresses: ["198.51.100.2/25", "2001:db8:1::2/96"],
      routes: ["198.51.100.1", "2001:db8:1::1", ...defaults],
    });
    expect(await net.container.run("ip address show dev eth0 | grep -c noprefixroute")).toBe("2\n");
    await net.container.run(`ping -c 1 -W 5 ${IPV4.peer}; ping -c 1 -W 5 ${IPV6.peer}`);
  });
}, 60_000);

test("R8: what the host prefers no more is so inside, nothing else runs out there, and what is for the link only stays out", async () => {
  await withHost(async (net) => {
    await net.outside.run(`
      ip address add 2001:db8:1::3/64 dev eth0 nodad preferred_lft 0
      ip address add 198.51.100.3/24 dev eth0 preferred_lft 0
      ip address add 2001:db8:1::4/64 dev eth0 nodad valid_lft 600 preferred_lft 300
      ip address add 198.51.100.4/24 dev eth0 valid_lft 600 preferred_lft 300
      ip address add 198.51.100.5/32 dev eth0 scope link`);
    await expectInside(net.container, {
      addresses: [ADDRESS_4, "198.51.100.4/24", ADDRESS_6, "2001:db8:1::4/64"],
      deprecated: ["198.51.100.3/24", "2001:db8:1::3/64"],
    });
    // Here nobody would renew them.
    const lifetimes = "ip address show dev eth0 scope global -deprecated | grep valid_lft | sort -u";
    expect(await net.container.run(lifetimes)).toBe("       valid_lft forever preferred_lft forever\n");
    await net.outside.run(`
      ip address change 2001:db8:1::4/64 dev eth0 nodad valid_lft 600 preferred_lft 0
      ip address change 198.51.100.4/24 dev eth0 valid_lft 600 preferred_lft 0
      ip address change 2001:db8:1::3/64 dev eth0 nodad preferred_lft forever`);
    await expectInside(net.container, {
      addresses: [ADDRESS_4, ADDRESS_6, "2001:db8:1::3/64"],
      deprecated: ["198.51.100.3/24", "198.51.100.4/24", "2001:db8:1::4/64"],
    });
  });
}, 60_000);

test("an address that is deprecated on the host is so inside, and without another one still good for everything", async () => {
  await withHost(async (net) => {
    await startNginx(net);
    await net.outside.run("ip address change 2001:db8:1::2/64 dev eth0 preferred_lft 0");
    await expectInside(net.container, { addresses: [ADDRESS_4], deprecated: [ADDRESS_6] });
    await net.container.run(`curl -sS --max-time 10 http://${IPV6.peerHost}/ -o /dev/null`);
    await net.outside.run("ip address change 2001:db8:1::2/64 dev eth0 preferred_lft forever");
    await expectInside(net.container, { addresses: [ADDRESS_4, ADDRESS_6], deprecated: [] });
  });
}, 60_000);
