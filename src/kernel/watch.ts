/** Whether the network namespace at a path is still there. We hold it open, so nothing else would tell. */
import { openSync, statfsSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { errorCode } from "../base/errors.ts";
import * as c from "../ffi/constants.ts";
import { close, inotifyAddWatch, inotifyInit1, read } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import type { NamespaceId, Netns } from "./namespace.ts";

/** File systems of the kernel itself, in which inotify(7) reports nothing. */
const SILENT: readonly number[] = [c.PROC_SUPER_MAGIC, c.SYSFS_MAGIC, c.DEVPTS_SUPER_MAGIC];
/** What inotify(7) tells of names in a directory, and of the directory's own. */
export const NAME_CHANGES =
  c.IN_CREATE | c.IN_DELETE | c.IN_MOVED_FROM | c.IN_MOVED_TO | c.IN_DELETE_SELF | c.IN_MOVE_SELF;

export class NetnsWatch {
  /** Readable when `isGone` should be asked. -1 where nothing reports changes: then ask every second. */
  readonly fd: number;
  readonly #directory: number;
  /** Through the open directory: the engine may become somebody who cannot get there any more. */
  readonly #path: string;
  readonly #id: NamespaceId;

  /** Throws what node:fs throws. */
  constructor({ id, path }: Pick<Netns, "id" | "path">) {
    this.#id = id;
    this.#directory = openForLookup(dirname(path));
    const directory = `/proc/self/fd/${this.#directory}`;
    this.#path = `${directory}/${basename(path)}`;
    this.fd = watchDirectory(directory);
  }

  /** Tells whether the path no longer leads to the namespace; takes what made `fd` readable. */
  isGone(): boolean {
    // What happened in the directory does not matter, only what is there now.
    while (this.fd >= 0 && read(this.fd, scratch.address, scratch.bytes.length) > 0);
    try {
      const { dev, ino } = statSync(this.#path);
      return `${dev}:${ino}` !== this.#id;
    } catch (error) {
      // A path that we may not see any more may still be there.
      return errorCode(error) !== "EACCES";
    }
  }

  close(): void {
    if (this.fd >= 0) close(this.fd);
    close(this.#directory);
  }
}

/** Opens a directory to look names up in it, and nothing else. Throws what node:fs throws. */
export const openForLookup = (directory: string): number => openSync(directory, c.O_PATH);

/** Whether inotify(7) reports nothing there. Throws what node:fs throws. */
export const isSilent = (directory: string): boolean => SILENT.includes(statfsSync(directory).type);

/** An inotify descriptor for changes of names in a directory, or -1. */
function watchDirectory(directory: string): number {
  if (isSilent(directory)) return -1;
  const fd = inotifyInit1(c.IN_NONBLOCK | c.IN_CLOEXEC);
  // There may be too many watches or instances of this user already (fs.inotify).
  if (fd < 0) return -1;
  if (inotifyAddWatch(fd, directory, NAME_CHANGES | c.IN_ONLYDIR) >= 0) return fd;
  close(fd);
  return -1;
}
