/**
 * Network namespaces: opening them, telling them apart, and making descriptors inside one. setns(2) moves one
 * thread, and without privilege there is no way back. So it is a thread of libuv's pool that goes; what it opens
 * there belongs to the whole process, and the main thread stays where it was.
 */
import { fstatSync, statSync } from "node:fs";
import { AppError } from "../base/errors.ts";
import * as c from "../ffi/constants.ts";
import { check, errnoName } from "../ffi/errno.ts";
import { close, fstatfs, ioctl, open } from "../ffi/libc.ts";
import { openOnPool, setnsOnPool, socketOnPool } from "../ffi/libc-async.ts";
import { getWord, scratch } from "../ffi/memory.ts";
import { attachTap, checkTunOpen, TUN_OPEN_FLAGS, TUN_PATH, type Tap, type TapOptions } from "./tap.ts";

/** Device and inode of a namespace as text, "4:4026531840": equal for the same namespace, and only then. */
export type NamespaceId = string;

export interface Netns {
  readonly fd: number;
  readonly id: NamespaceId;
  /** Where it was found. */
  readonly path: string;
}

/** Times to look for a pool thread that is in the right namespace; more than the largest pool has (1,024). */
const MAX_ATTEMPTS = 2048;

/** Opens the network namespace at a path. Throws AppError TARGET_GONE or TARGET_FORBIDDEN. */
export function openNetns(path: string): Netns {
  const fd = open(path, c.O_RDONLY | c.O_CLOEXEC | c.O_NONBLOCK);
  if (fd < 0) throw cannotOpen(path, -fd);
  if (isNetns(fd)) return { fd, id: namespaceId(fd), path };
  close(fd);
  throw new AppError("TARGET_GONE", `${path} is not a network namespace, or not any more`);
}

function isNetns(fd: number): boolean {
  // What the request means to other kinds of file, nobody knows.
  if (fstatfs(fd, scratch.address) < 0 || getWord(scratch.view, 0) !== c.NSFS_MAGIC) return false;
  return ioctl(fd, c.NS_GET_NSTYPE, 0) === c.CLONE_NEWNET;
}

function cannotOpen(path: string, errno: number): AppError {
  if (errno === c.EACCES || errno === c.EPERM) {
    const remedy = "run this as the user who owns the container, or as root";
    return new AppError("TARGET_FORBIDDEN", `may not open the network namespace ${path}: ${remedy}`);
  }
  return new AppError("TARGET_GONE", `cannot open the network namespace ${path}: ${errnoName(errno)}`);
}

/** The name of a namespace as long as somebody holds it open. */
export function namespaceId(fd: number): NamespaceId {
  const { dev, ino } = fstatSync(fd);
  return `${dev}:${ino}`;
}

/** The name of a namespace of the main thread. */
export const ownNamespaceId = (kind: "net" | "user"): NamespaceId => namespaceIdAt(`/proc/self/ns/${kind}`);

/** The name of the namespace at a path. Throws the error of stat(2). */
export function namespaceIdAt(path: string): NamespaceId {
  const { dev, ino } = statSync(path);
  return `${dev}:${ino}`;
}

/**
 * The user namespace that owns a namespace, as a descriptor; undefined when it is neither ours nor below ours, so
 * that nothing here can have a capability in it. See ioctl_nsfs(2).
 */
export function openOwner(fd: number): number | undefined {
  const owner = ioctl(fd, c.NS_GET_USERNS, 0);
  return owner === -c.EPERM ? undefined : check(owner, "ioctl NS_GET_USERNS");
}

/** Whether a capability of this process counts in the network namespace that it is in, too. Throws SysError. */
export function hasPowerOverOwnNetwork(): boolean {
  const netns = check(open("/proc/self/ns/net", c.O_RDONLY | c.O_CLOEXEC), "open", "/proc/self/ns/net");
  const owner = openOwner(netns);
  close(netns);
  if (owner === undefined) return false;
  close(owner);
  return true;
}

/**
 * Makes a TAP device in another network namespace. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN in its
 * owner. Throws AppError NO_TUN or TARGET_FORBIDDEN.
 */
export async function openTapIn(netns: Netns, name: string, options: TapOptions): Promise<Tap> {
  const fd = await openIn(netns, () => openOnPool(TUN_PATH, TUN_OPEN_FLAGS));
  return attachTap(checkTunOpen(fd), name, options);
}

/** A socket in another network namespace, as socket(2) makes it. Throws AppError TARGET_FORBIDDEN or SysError. */
export async function openSocketIn(
  netns: Netns,
  domain: number,
  type: number,
  protocol: number,
): Promise<number> {
  const fd = await openIn(netns, () => socketOnPool(domain, type | c.SOCK_CLOEXEC, protocol));
  return check(fd, "socket", `in ${netns.path}`);
}

/**
 * Calls `make` on a thread of the pool that is in the namespace: its descriptor, or -errno. Threads that were in it
 * stay in it: what Node does on the pool later, such as looking up names, may happen there.
 */
async function openIn(netns: Netns, make: () => Promise<number>): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    // More at a time with each attempt: idle threads may take turns so that one call each always meets the same ones.
    const calls = Array.from({ length: Math.min(attempt + 1, 64) }, () =>
      setnsOnPool(netns.fd, c.CLONE_NEWNET),
    );
    const result = Math.min(...(await Promise.all(calls)));
    if (result === -c.EPERM) {
      const needs = "this needs CAP_SYS_ADMIN here and in the user namespace that owns it";
      throw new AppError("TARGET_FORBIDDEN", `may not enter the network namespace ${netns.path}: ${needs}`);
    }
    check(result, "setns", netns.path);
    const fd = await make();
    // setns and this call may have met different threads.
    if (fd < 0 || netnsOf(fd) === netns.id) return fd;
    close(fd);
  }
  throw new AppError("INTERNAL", `no thread of the pool stays in the network namespace ${netns.path}`);
}

/** Moves the only thread of a pool with one thread to a network namespace, for good: 0 or -errno. */
export const enterOnPool = (netns: number): Promise<number> => setnsOnPool(netns, c.CLONE_NEWNET);

/** The network namespace of a socket or an open TUN_PATH; undefined when we have no CAP_NET_ADMIN there. */
export function netnsOf(fd: number): NamespaceId | undefined {
  const netns = ioctl(fd, c.SIOCGSKNS, 0);
  if (netns === -c.EPERM) return undefined;
  const id = namespaceId(check(netns, "ioctl SIOCGSKNS"));
  close(netns);
  return id;
}
