/** Timers as descriptors, which epoll can wait for. */
import { CLOCK_MONOTONIC, TFD_CLOEXEC, TFD_NONBLOCK } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { read, timerfdCreate, timerfdSettime } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import { itimerspec } from "../ffi/structs.ts";

const NANOSECONDS_OF_ONE = 1_000_000;

/** A descriptor that becomes readable every so many milliseconds, at least 1. Throws SysError. */
export function openInterval(milliseconds: number): number {
  const fd = openTimer();
  setTimer(fd, milliseconds, milliseconds);
  return fd;
}

/** A descriptor for `armTimer`. Throws SysError. */
export const openTimer = (): number =>
  check(timerfdCreate(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");

/** Has the descriptor become readable once, after more than 0 milliseconds. */
export const armTimer = (fd: number, milliseconds: number): void => setTimer(fd, milliseconds, 0);

function setTimer(fd: number, first: number, interval: number): void {
  const { view, address, bytes } = scratch;
  bytes.fill(0, 0, itimerspec.size);
  view.setUint32(itimerspec.valueSeconds, Math.floor(first / 1000), true);
  view.setUint32(itimerspec.valueNanoseconds, (first % 1000) * NANOSECONDS_OF_ONE, true);
  view.setUint32(itimerspec.intervalSeconds, Math.floor(interval / 1000), true);
  view.setUint32(itimerspec.intervalNanoseconds, (interval % 1000) * NANOSECONDS_OF_ONE, true);
  check(timerfdSettime(fd, 0, address, 0), "timerfd_settime");
}

/** Takes what made the descriptor readable. */
export function takeExpirations(fd: number): void {
  read(fd, scratch.address, 8);
}
