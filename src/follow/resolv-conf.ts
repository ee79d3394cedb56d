/** The host's resolv.conf: what it says, and what it says next. */
import { closeSync, constants, openSync, readSync } from "node:fs";
import { namesResolver, parseResolvConf, type ResolvConf } from "../config/resolv-conf.ts";
import { PathWatch } from "../kernel/path-watch.ts";
import { armTimer, openTimer, takeExpirations } from "../kernel/timer.ts";
import type { Log } from "../log/logger.ts";

/** The host's. */
export const RESOLV_CONF = "/etc/resolv.conf";
/** Bytes of it that are read: there are no more in any that somebody wrote. */
const SIZE_MAX = 65_536;
/** How long a file that names nobody is taken for one that is being replaced. */
const GRACE_MS = 2_000;
/** How often a file is read of whose changes the kernel does not tell. */
const POLL_MS = 5_000;

/** What the host's resolv.conf says now; one that cannot be read is like an empty one, as for libc. */
export const readResolvConf = (path = RESOLV_CONF): ResolvConf => parseResolvConf(readText(path));

/** Follows the host's resolv.conf. */
export class ResolvConfWatch {
  /** What it says, as far as it makes sense. */
  current: ResolvConf;
  /** When one of them is readable, `hasChanged` should be asked. Those of the engine, as long as it lives. */
  readonly fds: readonly number[];
  readonly #path: string;
  readonly #log: Log;
  readonly #watch: PathWatch;
  readonly #timer = openTimer();
  /** Looks in a row after which changes may go unseen. One may be due to a change just then. */
  #blindLooks = 0;
  /** Since when it names nobody, in milliseconds of performance.now(); undefined while it does. */
  #emptySince: number | undefined;

  /** Throws SysError. */
  constructor(log: Log, path = RESOLV_CONF) {
    this.#log = log;
    this.#path = path;
    this.#watch = new PathWatch(path);
    this.fds = [this.#watch.fd, this.#timer].filter((fd) => fd >= 0);
    // Watched first, read then: nothing is missed.
    this.#look();
    this.current = readResolvConf(path);
  }

  /** Takes what made a descriptor readable. Tells whether `current` is another. */
  hasChanged(): boolean {
    takeExpirations(this.#timer);
    this.#look();
    const text = readText(this.#path);
    if (!this.#isBelieved(text)) return false;
    const before = JSON.stringify(this.current);
    this.current = parseResolvConf(text);
    return JSON.stringify(this.current) !== before;
  }

  /** Watches the way there is now, or sees to it that somebody asks. */
  #look(): void {
    if (this.#watch.refresh()) {
      this.#blindLooks = 0;
      return;
    }
    armTimer(this.#timer, POLL_MS);
    if (++this.#blindLooks !== 2) return;
    this.#log.warn(
      `the kernel does not tell of changes to ${this.#path}: it is read every ${POLL_MS / 1000} seconds; ` +
        "see fs.inotify.max_user_instances and max_user_watches",
    );
  }

  /** A file that is just being replaced or written anew would cost the container all its resolvers. */
  #isBelieved(text: string): boolean {
    if (namesResolver(text)) {
      this.#emptySince = undefined;
      return true;
    }
    const now = performance.now();
    this.#emptySince ??= now;
    const left = this.#emptySince + GRACE_MS - now;
    if (left <= 0) return true;
    armTimer(this.#timer, left);
    return false;
  }
}

function readText(path: string): string {
  let fd = -1;
  try {
    // A pipe there must not hold us up, nor a file without an end.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(SIZE_MAX);
    const length = readSync(fd, buffer);
    const isCut = length === SIZE_MAX;
    return buffer.toString("utf8", 0, isCut ? buffer.lastIndexOf("\n") + 1 : length);
  } catch {
    return "";
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
