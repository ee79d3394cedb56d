/** Other processes, held by a descriptor so that a number used again is never taken for them, and pipes to them. */
import { readFileSync } from "node:fs";
import { AppError } from "../base/errors.ts";
import { EINTR, EMFILE, EPOLLIN, ESRCH, O_CLOEXEC } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { close, pidfdGetfd, pidfdOpen, pipe2, poll } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import { pollfd } from "../ffi/structs.ts";

/** A pidfd (see pidfd_open(2)); it becomes readable when the process ends. Throws AppError TARGET_GONE. */
export function openProcess(pid: number): number {
  const fd = pidfdOpen(pid, 0);
  if (fd === -ESRCH) throw new AppError("TARGET_GONE", `there is no process ${pid}`);
  return check(fd, "pidfd_open", String(pid));
}

/** Tells whether the process has ended; takes no permission. Throws SysError. */
export const hasEnded = (pidfd: number): boolean => isReadable(pidfd, 0);

/** Waits so many milliseconds at most until a descriptor can be read; whether it can. Throws SysError. */
export function isReadable(fd: number, timeoutMs: number): boolean {
  scratch.view.setInt32(pollfd.fd, fd, true);
  // POLLIN and EPOLLIN are the same bit.
  scratch.view.setUint16(pollfd.events, EPOLLIN, true);
  let ready = -EINTR;
  while (ready === -EINTR) ready = poll(scratch.address, 1, timeoutMs);
  return check(ready, "poll") > 0;
}

/** The same open file as a descriptor of another process, which takes the right to trace it. Throws SysError. */
export const takeDescriptor = (pidfd: number, fd: number): number =>
  check(pidfdGetfd(pidfd, fd), "pidfd_getfd", String(fd));

/** A pipe that no program inherits unless it is given to it. Throws SysError. */
export function openPipe(): { read: number; write: number } {
  check(pipe2(scratch.address, O_CLOEXEC), "pipe2");
  return { read: scratch.view.getInt32(0, true), write: scratch.view.getInt32(4, true) };
}

/** Descriptors that this process may have open (RLIMIT_NOFILE), Infinity without a limit. */
export function descriptorLimit(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return limit === null ? Infinity : Number(limit[1]);
}

/**
 * Gives back a descriptor that was just opened, or closes one that is not below the limit and gives -EMFILE: the kernel
 * gives the lowest that is free, so all below are in use. A negative errno stays what it is.
 */
export function belowLimit(fd: number, limit: number): number {
  if (fd < limit) return fd;
  close(fd);
  return -EMFILE;
}
