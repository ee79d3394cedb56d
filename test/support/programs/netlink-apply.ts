/**
 * Applies the network plan on standard input to "tap0" of the namespace it runs in, `argv[2]` times, and prints
 * what is there afterwards.
 */
import { readFileSync } from "node:fs";
import { AddressFlag, MAIN_TABLE, RouteType, Scope } from "../../../src/base/network.ts";
import { Netlink } from "../../../src/kernel/netlink.ts";
import { dumpAddresses, dumpLinks, dumpRoutes } from "../../../src/kernel/rtnetlink.ts";
import { configureNetns } from "../../../src/follow/configure-netns.ts";

const plan = JSON.parse(readFileSync(0, "utf8"));
const netlink = Netlink.open();
let configured = configureNetns(netlink, plan, "tap0");
for (let i = 1; i < Number(process.argv[2] ?? 1); i++) configured = configureNetns(netlink, plan, "tap0");
const index = configured.interfaceIndex;
const addresses = dumpAddresses(netlink, index).filter(({ scope }) => scope < Scope.Link);
const routes = dumpRoutes(netlink, MAIN_TABLE).filter(
  ({ type, nexthops }) =>
    type === RouteType.Unicast && nexthops.some(({ interfaceIndex }) => interfaceIndex === index),
);
const found = {
  configured,
  link: dumpLinks(netlink).find((link) => link.index === index),
  loopback: dumpLinks(netlink).find((link) => link.name === "lo"),
  everyAddress: dumpAddresses(netlink, index),
  addresses: addresses.map(({ address, prefixLength, flags, metric }) => ({
    address,
    prefixLength,
    noPrefixRoute: (flags & AddressFlag.NoPrefixRoute) !== 0,
    metric,
    deprecated: (flags & AddressFlag.Deprecated) !== 0,
  })),
  routes: routes.map((route) => ({
    ...route,
    nexthops: route.nexthops.map((nexthop) => ({ ...nexthop, interfaceIndex: 0 })),
  })),
};
netlink.close();
process.stdout.write(JSON.stringify(found));
