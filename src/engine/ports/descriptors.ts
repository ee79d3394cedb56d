/** Room for the descriptors of listening sockets. */
import { readdirSync } from "node:fs";
import { AppError } from "../../base/errors.ts";
import { F_DUPFD_CLOEXEC } from "../../ffi/constants.ts";
import { close, fcntl } from "../../ffi/libc.ts";

/** Descriptors that listening sockets leave to connections: so many, or a quarter where there are few. */
const CONNECTION_FDS = 1024;
/** Limits of open files that people are told are multiples of this, and have room for so many more. */
const LIMIT_STEP = 1024;
const SPARE_FDS = 64;
/** So few sockets are just opened: how many descriptors are left is not worth finding out. */
const FEW = 64;

/** Listening sockets have descriptors below what this gives. @param limit all sockets have theirs below this */
export const listenerLimit = (limit: number): number =>
  limit - Math.min(CONNECTION_FDS, Math.floor(limit / 4));

/**
 * Makes sure of descriptors for listening sockets. Throws AppError (PORT_LIMIT).
 * @param limit as in `listenerLimit`
 * @param fd any descriptor that is open
 */
export function reserveDescriptors(needed: number, limit: number, fd: number): void {
  if (needed <= FEW) return;
  const open = readdirSync("/proc/self/fd").length;
  const free = Math.max(0, listenerLimit(limit) - open);
  if (needed > free) {
    const least = limit + needed - free + SPARE_FDS;
    const wanted = Math.ceil(least / LIMIT_STEP) * LIMIT_STEP;
    throw new AppError(
      "PORT_LIMIT",
      `these ports need ${needed} open files, and ${free} are left: forward fewer, or raise the limit ` +
        `to ${wanted} or more (ulimit -n, LimitNOFILE=)`,
      { details: { needed, free } },
    );
  }
  // The kernel makes room for descriptors by doubling, and waits each time; so it does it once.
  const last = fcntl(fd, F_DUPFD_CLOEXEC, open + needed);
  if (last >= 0) close(last);
}
