/** A lock between processes that the kernel takes back when its holder dies. */
import { closeSync, openSync } from "node:fs";
import { errorCode } from "../base/errors.ts";
import { check } from "../ffi/errno.ts";
import { flock } from "../ffi/libc-file.ts";

/** @see sys/file.h */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Runs `work` while this process alone holds the lock on `path`, an existing file or directory; waits for it.
 * The work is synchronous and should be short. Throws SysError.
 */
export function withFileLock<Result>(path: string, work: () => Result): Result {
  const fd = openSync(path, "r");
  try {
    check(flock(fd, LOCK_EX), "flock", path);
    return work();
  } finally {
    closeSync(fd);
  }
}

/** Tells whether some process holds a lock on a file or directory; none on one that is not there. */
export function isLocked(path: string): boolean {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
  try {
    return flock(fd, LOCK_EX | LOCK_NB) < 0;
  } finally {
    closeSync(fd);
  }
}

/**
 * Holds a shared lock on a directory until this process ends. Programs that clean up old files leave a locked
 * directory alone, and everything in it. Throws SysError.
 * @see tmpfiles.d(5)
 */
export function keepFromCleaners(directory: string): void {
  check(flock(openSync(directory, "r"), LOCK_SH), "flock", directory);
}
