/** What tells of changes, where it can be had and where not. */
import { expect, test } from "@jest/globals";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM } from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { socketpair } from "../../src/ffi/libc-socket.ts";
import { scratch } from "../../src/ffi/memory.ts";
import { Monitor } from "../../src/follow/monitor.ts";
import { Netlink } from "../../src/kernel/netlink.ts";

test("R11: what cannot be heard of is said, and there is no more to it", () => {
  const netlink = Netlink.open();
  const whole = new Monitor(netlink);
  expect(whole.missing).toEqual([]);
  // A socket that knows no groups.
  check(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, scratch.address), "socketpair");
  const ends = [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
  const deaf = new Monitor(new Netlink(ends[0]));
  expect(deaf.missing).toHaveLength(7);
  expect(deaf.missing.at(-1)).toMatch(/^changes of IPv6 rules are not heard of: setsockopt /);
  for (const monitor of [whole, deaf]) expect(() => monitor.discard()).not.toThrow();
  netlink.close();
  for (const fd of ends) close(fd);
});
