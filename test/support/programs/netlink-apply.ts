/**
 * Applies the network plan on standard input to "tap0" of the namespace it runs in, `argv[2]` times, and prints
 * what is there afterwards.
 */
import { readFileSync } from "node:fs";
import { Netlink } from "../../../src/kernel/netlink.ts";
import { dumpAddresses, dumpLinks } from "../../../src/kernel/rtnetlink.ts";
import { actualAddresses, actualRoutes, configureNetns } from "../../../src/follow/configure-netns.ts";

const plan = JSON.parse(readFileSync(0, "utf8"));
const netlink = Netlink.open();
let configured = configureNetns(netlink, plan, "tap0");
for (let i = 1; i < Number(process.argv[2] ?? 1); i++) configured = configureNetns(netlink, plan, "tap0");
const index = configured.interfaceIndex;
const found = {
  configured,
  link: dumpLinks(netlink).find((link) => link.index === index),
  loopback: dumpLinks(netlink).find((link) => link.name === "lo"),
  everyAddress: dumpAddresses(netlink, index),
  addresses: [...actualAddresses(netlink, index, 4), ...actualAddresses(netlink, index, 6)],
  routes: [...actualRoutes(netlink, index, 4), ...actualRoutes(netlink, index, 6)],
};
netlink.close();
process.stdout.write(JSON.stringify(found));
