/**
 * The resolv.conf of a container that otherwise sees the host's files. It is mounted over the host's; when that is
 * replaced, the kernel takes the mount away with the old file (since Linux 3.18), and the container would be left with
 * the host's resolvers. So it is mounted again, and says what the host says now of search list and options.
 */
import { spawn } from "node:child_process";
import { existsSync, type FSWatcher, readlinkSync, statSync, watch, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { formatResolvConf } from "../config/resolv-conf.ts";
import { readResolvConf, RESOLV_CONF } from "../follow/resolv-conf.ts";
import { MOST_LINKS } from "../kernel/path-watch.ts";
import { findProgram } from "./tools.ts";

export interface OwnResolvConfOptions {
  /** The container's file, outside. */
  path: string;
  /** What it names. */
  nameservers: readonly string[];
  /** A process that holds the container's namespaces, and whether a user namespace is among them. */
  pid: number;
  user: boolean;
  /** Whether it says what the host says later. */
  follow: boolean;
}

export class OwnResolvConf {
  readonly #options: OwnResolvConfOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  /** The host's file below the mount. */
  #below = identity();
  #text: string;
  #isMounting = false;

  /** Begins to look; the file is there and mounted. */
  constructor(options: OwnResolvConfOptions) {
    this.#options = options;
    this.#text = this.#wanted();
    this.#watch();
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #look(): void {
    this.#watch();
    const below = identity();
    // It is just being replaced, or the last change is being dealt with.
    if (below === undefined || this.#isMounting) return;
    this.#write();
    if (below === this.#below) return;
    this.#below = below;
    this.#mount();
  }

  #wanted(): string {
    return formatResolvConf(readResolvConf(), this.#options.nameservers);
  }

  #write(): void {
    const text = this.#wanted();
    if (!this.#options.follow || text === this.#text) return;
    this.#text = text;
    try {
      // In place, for it is mounted.
      writeFileSync(this.#options.path, text);
    } catch {
      // The engine has left and taken the directory along.
      this.close();
    }
  }

  #mount(): void {
    const { path, pid, user } = this.#options;
    const nsenter = findProgram("nsenter", process.env["PATH"]);
    if (nsenter === undefined) return;
    const into = [`--target=${pid}`, "--mount", ...(user ? ["--user", "--preserve-credentials"] : [])];
    this.#isMounting = true;
    const child = spawn(nsenter, [...into, "--", "mount", "--bind", path, RESOLV_CONF], { stdio: "ignore" });
    child.on("error", () => {});
    child.on("close", () => {
      this.#isMounting = false;
      if (this.#watchers.size > 0) this.#look();
    });
  }

  /** Watches the directories that there are on the way to the host's file. */
  #watch(): void {
    const wanted = directories();
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.has(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of wanted) if (!this.#watchers.has(directory)) this.#watchOne(directory);
  }

  #watchOne(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#look());
      watcher.on("error", () => this.#watchers.delete(directory));
      this.#watchers.set(directory, watcher);
    } catch {
      // It has just gone, or there are too many watches: the container does without.
    }
  }
}

/** Directories that hold the host's file and the links to it, or the nearest ones that exist. */
function directories(): Set<string> {
  const found = new Set<string>();
  let path = RESOLV_CONF;
  for (let links = 0; links < MOST_LINKS; links++) {
    let directory = dirname(path);
    while (!existsSync(directory)) directory = dirname(directory);
    found.add(directory);
    try {
      path = resolve(dirname(path), readlinkSync(path));
    } catch {
      return found;
    }
  }
  return found;
}

/** Tells files apart; undefined where there is none. */
function identity(): string | undefined {
  try {
    const { dev, ino } = statSync(RESOLV_CONF);
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
