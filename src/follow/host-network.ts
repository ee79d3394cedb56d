/** Reads what config/host-template.ts chooses from, out of the host's kernel. */
import { existsSync } from "node:fs";
import { MAIN_TABLE, type Route } from "../base/network.ts";
import type { HostNetwork } from "../config/host-template.ts";
import type { Netlink } from "../kernel/netlink.ts";
import { dumpAddresses, dumpLinks, dumpRoutes, type DumpCache } from "../kernel/rtnetlink.ts";

/**
 * Throws SysError when the kernel refuses.
 * @param cache of whoever reads again and again: a route that has not changed is the same object
 */
export function readHostNetwork(hostNetlink: Netlink, cache?: DumpCache<Route>): HostNetwork {
  const routes = dumpRoutes(hostNetlink, MAIN_TABLE, cache);
  cache?.turn();
  return {
    links: dumpLinks(hostNetlink),
    addresses: dumpAddresses(hostNetlink),
    routes,
    // Absent when IPv6 is switched off at boot or not built in.
    ipv6Available: existsSync("/proc/self/net/if_inet6"),
  };
}
