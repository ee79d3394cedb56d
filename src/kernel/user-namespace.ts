/** Where a user namespace stands among the others. @see ioctl_ns(2) */
import { readFileSync } from "node:fs";
import * as c from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { ioctl } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";

/** The user namespace above this one, as a descriptor; undefined when it is neither ours nor below ours. */
export function openParent(fd: number): number | undefined {
  const parent = ioctl(fd, c.NS_GET_PARENT, 0);
  return parent === -c.EPERM ? undefined : check(parent, "ioctl NS_GET_PARENT");
}

/** The user who made a user namespace, as our own user namespace numbers users. */
export function ownerUid(fd: number): number {
  check(ioctl(fd, c.NS_GET_OWNER_UID, scratch.address), "ioctl NS_GET_OWNER_UID");
  return scratch.view.getUint32(0, true);
}

/** Tells whether this process is in the first user namespace, whose users are those of the machine. */
export const isInInitialUserNamespace = (): boolean =>
  /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync("/proc/self/uid_map", "utf8"));

/** How users appear that have no number in our user namespace. */
export const overflowUid = (): number => Number(readFileSync("/proc/sys/kernel/overflowuid", "utf8"));

/** What a user of our user namespace is called in the one above; undefined for one that is nobody there. */
export function parentUid(uid: number): number | undefined {
  for (const line of readFileSync("/proc/self/uid_map", "utf8").trim().split("\n")) {
    const [first, above, count] = line.trim().split(/\s+/).map(Number);
    if (uid >= first && uid < first + count) return above + uid - first;
  }
  return undefined;
}
