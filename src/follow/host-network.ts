/** Reads what config/host-template.ts chooses from, out of the host's kernel. */
import { existsSync } from "node:fs";
import { MAIN_TABLE } from "../base/network.ts";
import type { HostNetwork } from "../config/host-template.ts";
import type { Netlink } from "../kernel/netlink.ts";
import { dumpAddresses, dumpLinks, dumpRoutes } from "../kernel/rtnetlink.ts";

/** Throws SysError when the kernel refuses. */
export function readHostNetwork(hostNetlink: Netlink): HostNetwork {
  return {
    links: dumpLinks(hostNetlink),
    addresses: dumpAddresses(hostNetlink),
    routes: dumpRoutes(hostNetlink, MAIN_TABLE),
    // Absent when IPv6 is switched off at boot or not built in.
    ipv6Available: existsSync("/proc/self/net/if_inet6"),
  };
}
