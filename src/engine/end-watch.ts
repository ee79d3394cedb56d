/** What ends an engine: the process in the container, or the name of its network namespace, goes away. */
import type { WatchOptions } from "../config/options.ts";
import { CLOCK_MONOTONIC, EPOLLIN, TFD_CLOEXEC, TFD_NONBLOCK } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { read, timerfdCreate, timerfdSettime } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import { itimerspec } from "../ffi/structs.ts";
import type { Epoll } from "../kernel/epoll.ts";
import { openNetns } from "../kernel/namespace.ts";
import { openProcess, signalProcess } from "../kernel/process.ts";
import { NetnsWatch } from "../kernel/watch.ts";

const POLL_SECONDS = 1;

export class EndWatch {
  readonly #processes: number[];
  readonly #netns: NetnsWatch | undefined;
  readonly #timer: number = -1;

  /** Registers with `epoll` under `kind`. Throws AppError when what is to be watched is gone already. */
  constructor(options: WatchOptions, epoll: Epoll, kind: number) {
    this.#processes = options.pids.map(openProcess);
    for (const fd of this.#processes) check(epoll.add(fd, EPOLLIN, kind, 0), "epoll_ctl");
    if (options.netnsPath === undefined) return;
    this.#netns = new NetnsWatch(openNetns(options.netnsPath));
    let fd = this.#netns.fd;
    if (fd < 0) fd = this.#timer = everySecond();
    check(epoll.add(fd, EPOLLIN, kind, 0), "epoll_ctl");
  }

  /** To be asked when one of the descriptors is readable. */
  isGone(): boolean {
    if (this.#timer >= 0) read(this.#timer, scratch.address, 8);
    if (this.#processes.some((fd) => !signalProcess(fd, 0))) return true;
    return this.#netns?.isGone() ?? false;
  }
}

/** Some file systems report no changes; there only asking helps. */
function everySecond(): number {
  const fd = check(timerfdCreate(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
  const { view, address, bytes } = scratch;
  bytes.fill(0, 0, itimerspec.size);
  view.setUint32(itimerspec.intervalSeconds, POLL_SECONDS, true);
  view.setUint32(itimerspec.valueSeconds, POLL_SECONDS, true);
  check(timerfdSettime(fd, 0, address, 0), "timerfd_settime");
  return fd;
}
