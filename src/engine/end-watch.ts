/** What ends an engine: the process in the container, or the name of its network namespace, goes away. */
import type { WatchOptions } from "../config/options.ts";
import { EPOLLIN } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import type { Epoll } from "../kernel/epoll.ts";
import { openNetns } from "../kernel/namespace.ts";
import { openProcess, signalProcess } from "../kernel/process.ts";
import { openInterval, takeExpirations } from "../kernel/timer.ts";
import { NetnsWatch } from "../kernel/watch.ts";

/** Some file systems report no changes; there only asking helps. */
const POLL_MS = 1000;

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
    if (fd < 0) fd = this.#timer = openInterval(POLL_MS);
    check(epoll.add(fd, EPOLLIN, kind, 0), "epoll_ctl");
  }

  /** To be asked when one of the descriptors is readable. */
  isGone(): boolean {
    if (this.#timer >= 0) takeExpirations(this.#timer);
    if (this.#processes.some((fd) => !signalProcess(fd, 0))) return true;
    return this.#netns?.isGone() ?? false;
  }
}
