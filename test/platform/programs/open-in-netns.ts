/** Opens a TAP and a netlink socket in the network namespace of process argv[2]; prints what came of it as JSON. */
import { fstatSync, readlinkSync, statSync } from "node:fs";
import * as c from "../../../src/ffi/constants.ts";
import { check } from "../../../src/ffi/errno.ts";
import { close, ioctl } from "../../../src/ffi/libc.ts";
import {
  openNetns,
  openOwner,
  openSocketIn,
  openTapIn,
  ownNamespaceId,
} from "../../../src/kernel/namespace.ts";

const identity = (fd: number): string => `${fstatSync(fd).dev}:${fstatSync(fd).ino}`;

/** The network namespace that a socket belongs to. */
function netnsOf(fd: number): string {
  const netns = check(ioctl(fd, c.SIOCGSKNS, 0), "ioctl SIOCGSKNS");
  const id = identity(netns);
  close(netns);
  return id;
}

async function main(): Promise<void> {
  const netns = openNetns(`/proc/${process.argv[2]}/ns/net`);
  const before = ownNamespaceId("net");
  const tap = await openTapIn(netns, "tap%d", { wantOffload: true });
  const netlink = await openSocketIn(netns, c.AF_NETLINK, c.SOCK_RAW, c.NETLINK_ROUTE);
  const owner = openOwner(netns.fd);
  const { dev, ino } = statSync(`/proc/${process.argv[2]}/ns/user`);
  const result = {
    target: netns.id,
    before,
    after: ownNamespaceId("net"),
    thread: readlinkSync("/proc/thread-self/ns/net"),
    self: readlinkSync("/proc/self/ns/net"),
    tap: { name: tap.name, offloads: tap.offloads, netns: netnsOf(tap.fd) },
    netlink: netnsOf(netlink),
    ownerFound: owner !== undefined && identity(owner) === `${dev}:${ino}`,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  // The test looks at the interface before it lets us end.
  process.stdin.resume().on("end", () => process.exit(0));
}

void main();
