/**
 * The container sees the stations of the host's link where they really are. The cable between outside and router becomes
 * a segment with more machines on it: "lan", and "spare", which can take the router's place.
 */
import { expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { withNamespaces, type Network } from "../support/network.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const ROOT_DIR = resolve(__dirname, "../..");
const CAPTURE = "/run/tmp/pcap";
const OURS = "9a:55:9a:55:9a:55";
const ROUTER = "02:00:00:00:01:01";
const SPARE = "02:00:00:00:01:02";
const LAN = "02:00:00:00:01:07";

const SEGMENT = `set -e
  ip netns add lan
  ip netns add spare
  nsenter --net=/run/netns/router sh -ec '
    ip address flush dev near scope global
    ip link add segment type bridge
    ip link set segment address ${ROUTER} up
    ip link set near master segment
    ip address add 198.51.100.1/24 dev segment
    ip address add 2001:db8:1::1/64 dev segment nodad
    for name in lan spare; do
      ip link add $name type veth peer name eth0 netns $name
      ip link set $name master segment up
    done'
  for name in lan:${LAN}:7 spare:${SPARE}:8; do
    host=\${name##*:}; mac=\${name#*:}; mac=\${mac%:*}; name=\${name%%:*}
    nsenter --net=/run/netns/$name sh -ec "
      echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
      ip link set lo up
      ip link set eth0 address $mac up
      ip address add 198.51.100.$host/24 dev eth0
      ip address add 2001:db8:1::$host/64 dev eth0 nodad
      ip route add default via 198.51.100.1
      ip route add default via 2001:db8:1::1"
  done`;

const withSegment = (body: (net: Network) => Promise<void>): Promise<void> =>
  withNamespaces(stage(), {}, async (net) => {
    await net.outside.run(SEGMENT);
    await body(net);
    await net.stopContainer();
  });

/** The MAC addresses that frames to the container came from whose line (of `tcpdump -ne`) fits, each once. */
async function sources(net: Network, pattern: RegExp): Promise<string[]> {
  const text = await net.user.run(`tcpdump -ner ${CAPTURE} 2>/dev/null`);
  const lines = text.split("\n").filter((line) => pattern.test(line));
  return [...new Set(lines.map((line) => line.split(" ")[1]))];
}

/** Where the container knows an address to be, once that is the one that is wanted, or for too long another one. */
async function placeOf(net: Network, address: string, wanted: string): Promise<string> {
  const place = await net.container.run(
    `for i in $(seq 100); do
      place=$(ip neighbour show ${address} dev eth0 | sed -n 's/.*lladdr \\([^ ]*\\).*/\\1/p')
      [ "$place" = ${wanted} ] && break
      sleep 0.1
    done
    echo $place`,
  );
  return place.trim();
}

test("neighbours, the gateway and who is behind it are at their own MAC addresses", async () => {
  await withSegment(async (net) => {
    await net.startContainer(["--no-map-gw", "--capture", CAPTURE]);
    for (const [address, mac] of [
      ["198.51.100.7", LAN],
      ["203.0.113.1", ROUTER],
      ["2001:db8:1::7", LAN],
      ["2001:db8:2::1", ROUTER],
    ]) {
      await net.container.run(`ping -c 1 -W 5 ${address}`);
      expect(await sources(net, new RegExp(` ${address} > .*echo reply`))).toEqual([mac]);
    }
    expect(await placeOf(net, "198.51.100.7", LAN)).toBe(LAN);
    expect(await placeOf(net, "198.51.100.1", ROUTER)).toBe(ROUTER);
    expect(await placeOf(net, "2001:db8:1::7", LAN)).toBe(LAN);
    expect(await placeOf(net, "2001:db8:1::1", ROUTER)).toBe(ROUTER);
  });
}, 60_000);

test("clients of a port come from where they are, and the host and who is behind it from us", async () => {
  await withSegment(async (net) => {
    await net.startContainer(["-t", "8080", "--capture", CAPTURE]);
    await net.container.start("nc -lk 8080", { port: 8080 });
    const lan = (command: string): Promise<string> =>
      net.outside.run(`nsenter --net=/run/netns/lan ${command}`);
    await lan("nc -zw 5 198.51.100.2 8080");
    expect(await sources(net, / 198\.51\.100\.7\.\d+ > .*Flags/)).toEqual([LAN]);
    // The gateway stands for the host.
    await net.peer.run("nc -zw 5 198.51.100.2 8080");
    expect(await sources(net, / 203\.0\.113\.1\.\d+ > .*Flags/)).toEqual([OURS]);
    await net.outside.run("nc -zw 5 198.51.100.2 8080");
    expect(await sources(net, / 198\.51\.100\.1\.\d+ > .*Flags/)).toEqual([OURS]);
    expect(await placeOf(net, "198.51.100.1", OURS)).toBe(OURS);
    expect(await placeOf(net, "198.51.100.7", LAN)).toBe(LAN);
  });
}, 60_000);

test("another machine in the router's place, and the container finds it there", async () => {
  await withSegment(async (net) => {
    await net.startContainer(["--no-map-gw"]);
    const gateways = ["198.51.100.1", "2001:db8:1::1"];
    for (const gateway of gateways) {
      await net.container.run(`ping -c 1 -W 5 ${gateway}`);
      expect(await placeOf(net, gateway, ROUTER)).toBe(ROUTER);
    }
    // Whoever learns of it is the host; what tells us is that its routes have changed.
    await net.router.run("ip address flush dev segment scope global");
    await net.outside.run(`set -e
      nsenter --net=/run/netns/spare sh -c 'ip address add 198.51.100.1/24 dev eth0
        ip address add 2001:db8:1::1/64 dev eth0 nodad'
      ip neighbour flush dev eth0
      ping -c 1 -W 5 198.51.100.1
      ping -c 1 -W 5 2001:db8:1::1
      ip route add 203.0.113.64/26 via 198.51.100.1`);
    for (const gateway of gateways) expect(await placeOf(net, gateway, SPARE)).toBe(SPARE);
  });
}, 60_000);

test("on a link of its own the container has no neighbours but us", async () => {
  await withSegment(async (net) => {
    await net.startContainer(["--addressing", "private", "--capture", CAPTURE]);
    for (const address of ["198.51.100.7", "2001:db8:1::7"]) {
      await net.container.run(`ping -c 1 -W 5 ${address}`);
    }
    expect(await sources(net, /echo reply|is-at|neighbor advertisement/)).toEqual([OURS]);
  });
}, 60_000);

test("the kernel says by which station an address is reached, and what it knows of that one", () => {
  const script = `set -e
    mount -t sysfs sysfs /sys
    ip link add wan0 type veth peer name wan1
    ip link add lan0 type veth peer name lan1
    for link in wan0 wan1 lan0 lan1 lo; do ip link set $link up; done
    ip address add 198.51.100.5/24 dev wan0
    ip address add 203.0.113.5/26 dev lan0
    ip address add 2001:db8::5/64 dev wan0 nodad
    ip route add default via 198.51.100.1
    ip route add default via fe80::1 dev wan0
    ip route add 203.0.113.64/26 via inet6 fe80::1 dev wan0
    ip route add 203.0.113.128/26 via 198.51.100.9
    ip route add blackhole 203.0.113.192/26
    ip neighbour add 198.51.100.1 lladdr 02:00:00:00:00:01 dev wan0
    ip neighbour add fe80::1 lladdr 02:00:00:00:00:11 dev wan0 nud stale
    ip neighbour add 203.0.113.7 lladdr 02:00:00:00:00:17 dev lan0
    ip neighbour add 2001:db8::7 lladdr 02:00:00:00:00:27 dev wan0 nud reachable
    exec "$0" --import tsx test/support/programs/neighbour-lookup.ts "$1"`;
  const expected = {
    "198.51.100.1": "198.51.100.1 02:00:00:00:00:01",
    "198.51.100.9": "198.51.100.9",
    "198.51.100.5": "elsewhere",
    "198.51.100.255": "elsewhere",
    "127.0.0.1": "elsewhere",
    "224.0.0.1": "elsewhere",
    "192.0.2.1": "198.51.100.1 02:00:00:00:00:01",
    "203.0.113.7": "elsewhere",
    "203.0.113.70": "fe80::1 02:00:00:00:00:11",
    "203.0.113.130": "198.51.100.9",
    "203.0.113.200": "elsewhere",
    "2001:db8::7": "2001:db8::7 02:00:00:00:00:27",
    "2001:db8::5": "elsewhere",
    "2001:db8:1::1": "fe80::1 02:00:00:00:00:11",
    "ff02::1": "elsewhere",
  };
  const words = ["wan0", ...Object.keys(expected)].join(" ");
  const printed = execFileSync("unshare", ["-Urnm", "sh", "-c", script, process.execPath, words], {
    cwd: ROOT_DIR,
    encoding: "utf8",
    timeout: 30_000,
  });
  expect(JSON.parse(printed)).toEqual(Object.values(expected));
});
