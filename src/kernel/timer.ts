/** Timers as descriptors, which epoll can wait for. */
import { CLOCK_MONOTONIC, TFD_CLOEXEC, TFD_NONBLOCK } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { read, timerfdCreate, timerfdSettime } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import { itimerspec } from "../ffi/structs.ts";

const NANOSECONDS_OF_ONE = 1_000_000;

/** A descriptor that becomes readable every so many milliseconds, at least 1. Throws SysError. */
export function openInterval(milliseconds: number): number {
  const fd = check(timerfdCreate(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
  const { view, address, bytes } = scratch;
  bytes.fill(0, 0, itimerspec.size);
  const seconds = Math.floor(milliseconds / 1000);
  const nanoseconds = (milliseconds % 1000) * NANOSECONDS_OF_ONE;
  view.setUint32(itimerspec.intervalSeconds, seconds, true);
  view.setUint32(itimerspec.intervalNanoseconds, nanoseconds, true);
  view.setUint32(itimerspec.valueSeconds, seconds, true);
  view.setUint32(itimerspec.valueNanoseconds, nanoseconds, true);
  check(timerfdSettime(fd, 0, address, 0), "timerfd_settime");
  return fd;
}

/** Takes what made the descriptor readable. */
export function takeExpirations(fd: number): void {
  read(fd, scratch.address, 8);
}
