/** An rtnetlink socket in a network namespace that is not that of the main thread. */
import { AF_NETLINK, NETLINK_ROUTE, SOCK_RAW } from "../ffi/constants.ts";
import { openSocketIn, type Netns } from "./namespace.ts";
import { connectToKernel, Netlink } from "./netlink.ts";

/** Throws what `openSocketIn` throws. */
export async function openRouteSocketIn(netns: Netns): Promise<Netlink> {
  const fd = await openSocketIn(netns, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  connectToKernel(fd);
  return new Netlink(fd);
}
