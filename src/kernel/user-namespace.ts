/** Where a user namespace stands among the others. @see ioctl_ns(2) */
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
