/** What the container's kernel has of its network, seen through the socket that was made inside. */
import { LinkFlag, MAIN_TABLE } from "../base/network.ts";
import type { ContainerNetwork } from "../config/control-types.ts";
import type { EngineOptions } from "../config/options.ts";
import { Netlink } from "../kernel/netlink.ts";
import { dumpAddresses, dumpLinks, dumpRoutes } from "../kernel/rtnetlink.ts";

/** Throws SysError. */
export function containerNetwork(options: Pick<EngineOptions, "fds" | "interface">): ContainerNetwork {
  const netlink = new Netlink(options.fds.containerNetlink);
  const { index } = options.interface;
  const link = dumpLinks(netlink).find((each) => each.index === index);
  return {
    ...(link !== undefined && {
      interface: {
        name: link.name,
        mac: link.mac,
        mtu: link.mtu,
        isUp: (link.flags & LinkFlag.Up) !== 0,
      },
    }),
    addresses: dumpAddresses(netlink, index).map(({ address, prefixLength }) => `${address}/${prefixLength}`),
    routes: dumpRoutes(netlink, MAIN_TABLE).flatMap(({ destination, destinationLength, nexthops }) =>
      nexthops.map(({ gateway }) => ({ destination: `${destination}/${destinationLength}`, gateway })),
    ),
  };
}
