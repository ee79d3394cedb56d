/** Private addressing: addresses that only the container has, with translation, whatever network the host has. */
import { expect, test } from "@jest/globals";
import { canonical, inUrl } from "../support/crossings.ts";
import { cniScript, documents } from "../support/cni.ts";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { startDnsmasq, startLittleServers, startNginx } from "../support/servers.ts";
import { sleep } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const OPTIONS = ["--addressing", "private"];
const INSIDE = {
  "4": { address: "10.198.117.2/24", gateway: "10.198.117.1" },
  "6": { address: "fd62:7563:6174:1::2/64", gateway: "fd62:7563:6174:1::1" },
};
const ADDRESSES = `${INSIDE["4"].address} ${INSIDE["6"].address}`;
const DEADLINE_MS = 10_000;

/** Removes a family from "outside". */
const WITHOUT = {
  "4": "ip -4 address flush dev eth0",
  "6": "ip -6 address flush dev eth0 scope global; ip -6 route delete default",
};
type Digit = keyof typeof WITHOUT;

/** Addresses of the container that did not come from its kernel, and default routes. */
async function configured(net: Network): Promise<string> {
  return net.container.run(`
    ip -o address show dev eth0 scope global | awk '{ print $4 }' | paste -sd ' '
    for f in 4 6; do ip -$f route show default | awk '{ print $3 }'; done`);
}

const CONFIGURED = `${ADDRESSES}\n${INSIDE["4"].gateway}\n${INSIDE["6"].gateway}\n`;

interface Reached {
  readonly ping: string[];
  readonly curl: string[];
  /** What curl gets by a name that has addresses of both families. */
  readonly byName: string;
}

/** Which families reach the peer by ping, and by curl; each must say no soon where it does not. */
async function reached(net: Network): Promise<Reached> {
  const found: Omit<Reached, "byName"> = { ping: [], curl: [] };
  for (const { digit, peer, peerHost } of FAMILIES) {
    const ping = await net.container.attempt(`ping -${digit} -c 1 -W 3 ${peer}`);
    if (ping.code === 0) found.ping.push(digit);
    const curl = await net.container.attempt(`curl -sS --max-time 10 http://${peerHost}/hello`);
    expect(curl.code).not.toBe(28);
    if (curl.stdout === "hello") found.curl.push(digit);
  }
  const both = `peer.test:80:${FAMILIES.map(({ peer }) => peer).join(",")}`;
  const page = await net.container.attempt(`curl -sS --max-time 10 --resolve ${both} http://peer.test/hello`);
  return { ...found, byName: page.stdout };
}

test.each([
  { has: ["4", "6"], resolver: "203.0.113.1" },
  { has: ["4"], resolver: "203.0.113.1" },
  { has: ["6"], resolver: "2001:db8:2::1" },
  { has: [], resolver: "127.0.0.53" },
])(
  "a host with the families $has",
  async ({ has, resolver }) => {
    await withNamespaces(stage(), { resolvConf: `nameserver ${resolver}\n` }, async (net) => {
      for (const digit of ["4", "6"] as Digit[]) {
        if (!has.includes(digit)) await net.outside.run(WITHOUT[digit]);
      }
      await net.peer.run("mkdir -p $T/www; printf hello > $T/www/hello");
      await startNginx(net);
      await startDnsmasq(resolver === "127.0.0.53" ? net.outside : net.peer, [resolver]);
      const loopbacks = FAMILIES.map(({ loopback }) => loopback).join(" ");
      await startLittleServers(net.outside, loopbacks);
      await net.startContainer([...OPTIONS, "--ifname", "eth0"]);
      expect(await configured(net)).toBe(CONFIGURED);
      expect(await reached(net)).toEqual({ ping: has, curl: has, byName: has.length > 0 ? "hello" : "" });
      const names = await net.container.run("dig +short +time=5 www.test A www.test AAAA");
      expect(names).toBe("192.0.2.7\n2001:db8::7\n");
      for (const digit of ["4", "6"] as Digit[]) {
        const echoes = await net.container.run(`node $T/client.mjs sequential ${INSIDE[digit].gateway} 7 2`);
        expect(JSON.parse(echoes)).toEqual({ done: 2, failed: 0, first: "" });
      }
      await net.stopContainer();
      await expectNothingLeft(net);
    });
  },
  60_000,
);

const ALIAS = { "4": "169.254.1.2", "6": "fd62:7563:6174:696e::2" };
const ALIASES = Object.values(ALIAS).flatMap((address) => ["--map-guest-addr", address]);
const TELL = "SYSTEM:'echo $SOCAT_PEERADDR'";

test.each(FAMILIES)(
  "over $name the host is reached at its own address and by its name inside, and seen at its own address",
  async ({ digit, outside, peer }) => {
    await withNamespaces(stage(), {}, async (net) => {
      const only = digit === "6" ? ",ipv6only=1" : "";
      const tell = `socat TCP${digit}-LISTEN:4001,fork,reuseaddr${only} ${TELL}`;
      const ask = (host: string, port: number): string =>
        `socat -t 3 - TCP${digit}:${host}:${port} < /dev/null`;
      await net.startContainer([...OPTIONS, ...ALIASES, "-t", "7001:4001"]);
      await net.outside.start(tell, { port: 4001 });
      for (const host of [outside, ALIAS[digit]]) {
        const answer = await net.container.run(ask(inUrl(host), 4001));
        expect([host, canonical(answer.trim())]).toEqual([host, outside]);
      }
      await net.container.start(tell, { port: 4001 });
      for (const [client, seen] of [
        [net.outside, outside],
        [net.peer, peer],
      ] as const) {
        const answer = await client.run(ask(inUrl(outside), 7001));
        expect(canonical(answer.trim())).toBe(seen);
      }
      await net.stopContainer();
    });
  },
  60_000,
);

test("addresses are chosen once: a host that takes them later changes nothing, and a second container takes others", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer([...OPTIONS, ...ALIASES]);
    await net.outside.start(`socat TCP4-LISTEN:4001,fork,reuseaddr SYSTEM:'echo $SOCAT_SOCKADDR'`, {
      port: 4001,
    });
    await net.outside.run(`
      ip address delete 198.51.100.2/24 dev eth0
      ip address add 198.51.100.22/24 dev eth0
      ip route add default via 198.51.100.1
      ip address add 10.198.117.9/24 dev eth0
      ip -6 address add fd62:7563:6174:1::9/64 dev eth0 nodad
      ip link set eth0 mtu 1400`);
    const deadline = Date.now() + DEADLINE_MS;
    // The MTU follows, so the host's change has been seen.
    while (!(await net.container.run("ip link show dev eth0")).includes("mtu 1400")) {
      if (Date.now() > deadline) throw new Error("the MTU does not follow");
      await sleep(50);
    }
    expect(await configured(net)).toBe(CONFIGURED);
    // The host's name inside means whatever its address is.
    const host = await net.container.run(`socat -t 3 - TCP4:${ALIAS["4"]}:4001 < /dev/null`);
    expect(host).toBe("198.51.100.22\n");
    const second = await net.user.run(
      `${net.stage.bucatini} run --addressing private -- ip -o address show dev eth0`,
    );
    expect(second).toContain(" 10.198.118.2/24 ");
    expect(second).toContain(" fd62:7563:6174:2::2/64 ");
    await net.stopContainer();
  });
}, 60_000);

test("a host that gets its network later, of one family after the other", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside.run(`${WITHOUT["4"]}; ${WITHOUT["6"]}`);
    await startLittleServers(net.peer);
    await net.startContainer([...OPTIONS, "--ifname", "eth0"]);
    for (const [{ digit, peer, outside, gateway }, length] of [
      [FAMILIES[0], 24],
      [FAMILIES[1], 64],
    ] as const) {
      await net.outside.run(`
        ip -${digit} address add ${outside}/${length} dev eth0 ${digit === "6" ? "nodad" : ""}
        ip -${digit} route add default via ${gateway}`);
      const echoes = await net.container.run(`node $T/client.mjs sequential ${peer} 7 2`);
      expect(JSON.parse(echoes)).toEqual({ done: 2, failed: 0, first: "" });
    }
    expect(await configured(net)).toBe(CONFIGURED);
    await net.stopContainer();
  });
}, 60_000);

test("a CNI network has private addresses, unless an IPAM plugin says others", async () => {
  const config = {
    type: "bucatini",
    cniVersion: "1.1.0",
    name: "net",
    addressing: "private",
    mapGateway: true,
  };
  const ipam = { type: "static", addresses: [{ address: "198.51.100.99/24", gateway: "198.51.100.98" }] };
  const output = await cniScript(
    stage(),
    `container
    for C in '${JSON.stringify(config)}' '${JSON.stringify({ ...config, cniVersion: "1.0.0", ipam })}'; do
      cni ADD CNI_PATH=/usr/lib/cni
      cni DEL CNI_PATH=/usr/lib/cni
    done
    kill $T`,
  );
  const [own, given] = documents(output).map(({ ips, routes }) => ({ ips, routes }));
  expect(own.ips.map(({ address }: { address: string }) => address)).toEqual(ADDRESSES.split(" "));
  expect(own.routes.map(({ gw }: { gw: string }) => gw)).toEqual(
    FAMILIES.map(({ digit }) => INSIDE[digit].gateway),
  );
  expect(given.ips).toMatchObject([{ address: "198.51.100.99/24", gateway: "198.51.100.98" }]);
  expect(given.routes).toMatchObject([{ dst: "0.0.0.0/0", gw: "198.51.100.98" }]);
}, 60_000);
