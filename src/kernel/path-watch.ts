/**
 * Tells of changes to a file by its path, however the path leads there: its content, its replacement, and that of any
 * symbolic link or directory on the way. What is not there yet is waited for.
 */
import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";
import * as c from "../ffi/constants.ts";
import { close, inotifyAddWatch, inotifyInit1, inotifyRmWatch, read } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import { isSilent, NAME_CHANGES } from "./watch.ts";

/** Symbolic links that a path may lead over (path_resolution(7)). */
export const MOST_LINKS = 40;
/** A file counts as changed when whoever writes it is done. */
const FILE_CHANGES = c.IN_CLOSE_WRITE | c.IN_ATTRIB;
const GONE = c.IN_DELETE_SELF | c.IN_MOVE_SELF;

export class PathWatch {
  /** Readable when the file or the way to it may have changed; -1 when there is nothing to be had. */
  readonly fd: number = inotifyInit1(c.IN_NONBLOCK | c.IN_CLOEXEC);
  readonly #path: string;
  #watches = new Set<number>();
  #isComplete = false;

  /** @param path absolute; `refresh` begins to watch it */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes what made `fd` readable, and finds the way anew; read the file afterwards. False where changes may go unseen:
   * then ask now and then.
   */
  refresh(): boolean {
    if (this.fd < 0) return false;
    while (read(this.fd, scratch.address, scratch.bytes.length) > 0);
    const before = this.#watches;
    this.#watches = new Set();
    this.#isComplete = true;
    try {
      this.#walk();
    } catch {
      // The way changes under our feet, or we may not see it.
      this.#isComplete = false;
    }
    for (const watch of before) if (!this.#watches.has(watch)) inotifyRmWatch(this.fd, watch);
    return this.#isComplete;
  }

  close(): void {
    if (this.fd >= 0) close(this.fd);
  }

  /** Follows the path name by name, and watches what decides where it leads. Throws what node:fs throws. */
  #walk(): void {
    const names = this.#path.split("/");
    let directory = "/";
    let links = 0;
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      const path = join(directory, name);
      let found = lookUp(path);
      if (found?.isDirectory() !== true) {
        this.#add(directory, NAME_CHANGES | FILE_CHANGES | c.IN_ONLYDIR);
        // As it is from now on.
        found = lookUp(path);
      }
      if (found === undefined) return;
      if (found.isSymbolicLink()) {
        if (++links > MOST_LINKS) return;
        const target = readlinkSync(path);
        names.unshift(...target.split("/"));
        if (target.startsWith("/")) directory = "/";
        continue;
      }
      // Something may be mounted there, of which the directory does not tell.
      this.#add(path, found.isDirectory() ? GONE | c.IN_ONLYDIR : GONE | FILE_CHANGES);
      if (!found.isDirectory()) return;
      directory = path;
    }
  }

  #add(path: string, mask: number): void {
    const watch = inotifyAddWatch(this.fd, path, mask | c.IN_MASK_ADD);
    if (watch < 0 || isSilent(path)) this.#isComplete = false;
    if (watch >= 0) this.#watches.add(watch);
  }
}

/** Undefined where there is nothing. */
const lookUp = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });
