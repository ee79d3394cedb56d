/**
 * The real kernel, without privilege: one user and network namespace plays the host, another the container. Programs
 * in them read a template, apply a plan, and talk rtnetlink.
 */
import { expect, test } from "@jest/globals";
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { PathProperty } from "../../src/base/network.ts";
import type { NetworkPlan } from "../../src/config/network-plan.ts";
import { routeKey } from "../../src/config/reconcile.ts";
import type { NetworkOptions } from "../../src/config/options.ts";

const ROOT_DIR = resolve(__dirname, "../..");
/** The template: a link of its own, and one that must not matter. */
const WAN = `
  ip link add wan0 type veth peer name wan1
  ip link add lan0 type veth peer name lan1
  for link in wan1 lan0 lan1; do ip link set $link up; done
  ip link set wan0 mtu 1400 up`;
const TAP = "ip tuntap add tap0 mode tap";

/** Runs shell commands, then a program of test/support/programs, in new namespaces; gives what it prints. */
function inNamespaces(setup: string, program: string, argument: string, input = ""): string {
  const path = join(ROOT_DIR, "test/support/programs", program);
  const script = `set -e; ${setup}\nexec "$0" --import tsx "${path}" "$1"`;
  return execFileSync("unshare", ["-Urn", "sh", "-c", script, process.execPath, argument], {
    cwd: ROOT_DIR,
    input,
    encoding: "utf8",
    timeout: 60_000,
  });
}

const readPlan = (setup: string, options: Partial<NetworkOptions> = {}): NetworkPlan =>
  JSON.parse(inNamespaces(setup, "netlink-read.ts", JSON.stringify(options)));
const applyPlan = (plan: NetworkPlan, setup = TAP, times = 1) =>
  JSON.parse(inNamespaces(setup, "netlink-apply.ts", String(times), JSON.stringify(plan)));
const keys = (routes: NetworkPlan["ipv4"]["routes"]): string[] => routes.map(routeKey).toSorted();

test("a difficult set of routes arrives whole", () => {
  const plan = readPlan(`${WAN}
    ip addr add 198.51.100.5/24 dev wan0 noprefixroute
    ip addr add 203.0.113.250/30 dev lan0
    ip route add 198.51.100.2 dev wan0
    ip route add 203.0.113.240/32 via 198.51.100.2 dev wan0
    ip route add 198.51.100.1 dev wan0
    ip route add default via 198.51.100.1
    ip route add default via 198.51.100.2 metric 500
    ip route add 203.0.113.128/26 via 198.51.100.1 metric 50 mtu 1300 initcwnd 20
    ip route add 203.0.113.128/26 tos 4 via 198.51.100.2 metric 50
    ip route add 203.0.113.64/26 via 203.0.113.1 dev wan0 onlink
    ip route add 203.0.113.32/27 nexthop via 198.51.100.1 dev wan0 weight 3 nexthop via 198.51.100.2 dev wan0
    ip route add 203.0.113.4/30 nexthop via 198.51.100.1 dev wan0 nexthop via 203.0.113.249 dev lan0
    ip route add 203.0.113.8/29 via inet6 fe80::9 dev wan0
    ip route add 203.0.113.16/28 via 198.51.100.1 src 198.51.100.5
    ip route add blackhole 203.0.113.192/28
    ip route add unreachable 203.0.113.208/28
    ip addr add 2001:db8::5/64 dev wan0 nodad
    ip -6 route add default via fe80::1 dev wan0 metric 100
    ip -6 route add 2001:db8:1::/48 via 2001:db8::1 metric 7
    ip -6 route add 2001:db8:3::/48 nexthop via 2001:db8::1 dev wan0 weight 2 nexthop via 2001:db8::2 dev wan0
    ip -6 route add 2001:db8:4::/48 via 2001:db8:ffff::1 dev wan0 onlink
    ip -6 route add blackhole 2001:db8:2::/48`);
  const found = applyPlan(plan);
  expect(found.configured).toMatchObject({ ipv6: true, warnings: [] });
  expect(found.addresses).toEqual([...plan.ipv4.addresses, ...plan.ipv6.addresses]);
  expect(plan.ipv4.routes).toHaveLength(12);
  expect(plan.ipv6.routes).toHaveLength(5);
  const withoutLinkLocal = found.routes.filter(
    (route: { destination: string }) => route.destination !== "fe80::",
  );
  expect(keys(withoutLinkLocal)).toEqual(keys([...plan.ipv4.routes, ...plan.ipv6.routes]));
});

test("the link is up with MAC address, MTU and an IPv6 address that is usable at once", () => {
  const plan = readPlan(`${WAN}; ip addr add 2001:db8::5/64 dev wan0 nodad`, {
    template: "wan0",
    mac: "02:00:00:00:00:07",
  });
  const found = applyPlan(plan);
  expect(found.link).toMatchObject({ mac: "02:00:00:00:00:07", mtu: 1_400 });
  expect(found.link.flags & 1).toBe(1);
  expect(found.loopback.flags & 1).toBe(1);
  expect(found.configured).toMatchObject({ mac: "02:00:00:00:00:07", linkLocal: "fe80::ff:fe00:7" });
  const six = found.everyAddress.filter((each: { family: number }) => each.family === 6);
  expect(six.map((each: { address: string }) => each.address).toSorted()).toEqual([
    "2001:db8::5",
    "fe80::ff:fe00:7",
  ]);
  const TENTATIVE = 0x40;
  for (const each of six) expect(each.flags & TENTATIVE).toBe(0);
});

test("a plan may be applied to a link that has it already", () => {
  const plan = readPlan(
    `${WAN}; ip addr add 198.51.100.5/24 dev wan0; ip route add default via 198.51.100.1`,
  );
  expect(applyPlan(plan, TAP, 2).configured).toMatchObject({ ipv6: true, warnings: [] });
});

test("a route that the kernel refuses is named and does not stop the others", () => {
  const plan = readPlan(`${WAN}
    ip addr add 198.51.100.5/24 dev wan0
    ip route add 203.0.113.0/25 via 192.0.2.1 dev wan0 onlink
    ip route add 203.0.113.128/25 via 198.51.100.1`);
  // As when the prefix has left the host that once led to the first gateway.
  for (const route of plan.ipv4.routes) for (const hop of route.nexthops) hop.onlink = false;
  const [arrived] = plan.ipv4.routes;
  const wrong = {
    ...arrived,
    destination: "192.0.2.0",
    nexthops: [{ ...arrived.nexthops[0], gateway: "224.0.0.1" }],
  };
  const found = applyPlan({ ...plan, ipv4: { ...plan.ipv4, routes: [wrong, ...plan.ipv4.routes] } });
  expect(found.configured.warnings).toEqual([
    "route 192.0.2.0/24 via 224.0.0.1 is not copied: netlink request 24 (Nexthop has invalid scope): EINVAL",
  ]);
  expect(plan.ipv4.routes).toHaveLength(3);
  expect(keys(found.routes.filter((route: { family: number }) => route.family === 4))).toEqual(
    keys(plan.ipv4.routes),
  );
});

test("the route to a prefix is the host's, whatever the container's kernel makes of the address", () => {
  const plan = readPlan(`${WAN}
    ip addr add 198.51.100.5/24 dev wan0
    ip route replace 198.51.100.0/24 dev wan0 mtu 1300
    ip addr add 2001:db8::5/64 dev wan0 nodad
    ip route replace 2001:db8::/64 dev wan0 metric 256 mtu 1300`);
  const routes = [...plan.ipv4.routes, ...plan.ipv6.routes];
  expect(routes.map(({ properties }) => properties[PathProperty.Mtu])).toEqual([1_300, 1_300]);
  expect(keys(applyPlan(plan).routes)).toEqual(expect.arrayContaining(keys(routes)));
});

test("a point-to-point link: the peer is a route, and the gateway may be missing", () => {
  const plan = readPlan(`${WAN}
    ip addr add 198.51.100.5 peer 198.51.100.9/32 dev wan0
    ip route add default dev wan0`);
  expect(plan.ipv4.addresses).toMatchObject([{ address: "198.51.100.5", prefixLength: 32 }]);
  expect(plan.ipv4).not.toHaveProperty("gateway");
  const found = applyPlan(plan);
  expect(found.configured.warnings).toEqual([]);
  expect(keys(found.routes)).toEqual(expect.arrayContaining(keys(plan.ipv4.routes)));
});

test("a host without a network gives local mode", () => {
  const plan = readPlan("true");
  expect(plan.localMode).toEqual({ ipv4: true, ipv6: true });
  const found = applyPlan(plan);
  expect(found.configured.warnings).toEqual([]);
  expect(found.addresses).toMatchObject([{ address: "169.254.2.1", prefixLength: 16 }]);
  expect(keys(found.routes)).toEqual(
    expect.arrayContaining(keys([...plan.ipv4.routes, ...plan.ipv6.routes])),
  );
});

test("a gateway may be anywhere", () => {
  const options = {
    addresses: ["198.51.100.5/28", "2001:db8::5/64"],
    gateways: ["203.0.113.1", "2001:db8:1::1"],
  };
  const plan = readPlan("true", options);
  const found = applyPlan(plan);
  expect(found.configured.warnings).toEqual([]);
  expect(keys(found.routes)).toEqual(
    expect.arrayContaining(keys([...plan.ipv4.routes, ...plan.ipv6.routes])),
  );
});

test("a container without IPv6 is configured for IPv4, and says so", () => {
  const off =
    "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
  const found = applyPlan(readPlan("true"), `${off}; ${TAP}`);
  expect(found.configured).toMatchObject({ ipv6: false });
  expect(found.configured.warnings).toEqual([expect.stringContaining("no IPv6")]);
  expect(found.configured).not.toHaveProperty("linkLocal");
});

test("requests, answers, events, and events that were lost", () => {
  const found = JSON.parse(
    inNamespaces(`${WAN}; ip addr flush dev wan0; ip link set lo up`, "netlink-socket.ts", ""),
  );
  expect(found).toEqual({
    heard: ["20 198.51.100.5", "21 198.51.100.5", "20 198.51.100.6"],
    sent: true,
    forgeryHeard: false,
    quiet: ["complete", "complete"],
    afterForgery: "complete",
    overflow: "resync",
    afterOverflow: "complete",
    many: 2_001,
    refusal: "SysError: netlink request 24 (Nexthop has invalid gateway): ENETUNREACH",
    changedRoute: ["198.51.100.2"],
    deletedRoute: [],
    metrics: [77],
    addressGone: true,
    noTable: [],
    neighbours: [expect.objectContaining({ mac: "02:00:00:00:00:02", state: 0x80 })],
    rules: [expect.objectContaining({ source: "198.51.100.0/24", table: 1_000 })],
  });
});
