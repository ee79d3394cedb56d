/** What ends an engine: the process in the container, or the name of its network namespace, goes away. */
import { basename } from "node:path";
import type { WatchOptions } from "../config/options.ts";
import { EPOLLIN } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import type { Epoll } from "../kernel/epoll.ts";
import { openNetns } from "../kernel/namespace.ts";
import { hasEnded, openProcess } from "../kernel/process.ts";
import { openInterval, takeExpirations } from "../kernel/timer.ts";
import { NetnsWatch } from "../kernel/watch.ts";

/** Some file systems report no changes; there only asking helps. */
const POLL_MS = 1000;

export class EndWatch {
  readonly #processes: number[];
  readonly #netns: NetnsWatch | undefined;
  readonly #timer: number = -1;

  /** Opens what it takes to watch, with the privilege there is now. Throws AppError for what is gone already. */
  constructor(options: WatchOptions) {
    this.#processes = options.pids.map(openProcess);
    const { netnsPath, directory } = options;
    if (netnsPath === undefined) return;
    const path = directory === undefined ? netnsPath : `/proc/self/fd/${directory}/${basename(netnsPath)}`;
    this.#netns = new NetnsWatch(openNetns(path));
    if (this.#netns.fd < 0) this.#timer = openInterval(POLL_MS);
  }

  /** Has `epoll` tell under `kind` when `isGone` should be asked. Throws SysError. */
  register(epoll: Epoll, kind: number): void {
    const events = this.#timer < 0 ? (this.#netns?.fd ?? -1) : this.#timer;
    for (const fd of [...this.#processes, events]) {
      if (fd >= 0) check(epoll.add(fd, EPOLLIN, kind, 0), "epoll_ctl");
    }
  }

  /** To be asked when one of the descriptors is readable. */
  isGone(): boolean {
    if (this.#timer >= 0) takeExpirations(this.#timer);
    if (this.#processes.some(hasEnded)) return true;
    return this.#netns?.isGone() ?? false;
  }
}
