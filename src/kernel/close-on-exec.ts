/** Descriptors that whoever started us forgot to close. */
import { readdirSync } from "node:fs";
import { F_SETFD, FD_CLOEXEC } from "../ffi/constants.ts";
import { fcntl } from "../ffi/libc.ts";

const STDERR = 2;

/**
 * Keeps everything that is open now, stdin, stdout and stderr apart, from programs started later. Descriptors
 * that are passed on by name are not affected.
 */
export function keepDescriptorsFromPrograms(): void {
  for (const name of readdirSync("/proc/self/fd")) {
    // One of them is the listing itself, closed by now: that it fails does not matter.
    if (Number(name) > STDERR) fcntl(Number(name), F_SETFD, FD_CLOEXEC);
  }
}
