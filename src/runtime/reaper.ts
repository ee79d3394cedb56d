/**
 * What removes the directory of an engine that may not do so itself: root's engines own no files at all, so that one
 * that was taken over can neither hide nor touch those of others. A shell without capabilities waits until the last
 * descriptor of a pipe is closed, which is the engine's end, however it ends.
 */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { openPipe } from "../kernel/process.ts";

/**
 * What the engine writes, and that it has closed the pipe, proves nothing: it may have been taken over. It works in the
 * directory and removes what is in this one, and then empty ones by their names: there may be a new engine of the same
 * name already.
 */
const SCRIPT = 'cat; while [ -e "/proc/$2" ]; do sleep 0.1; done; rm -rf ./*; rmdir "$1" "${1%/*}"';

export class Reaper {
  readonly #pipe = openPipe();

  /** A descriptor for the engine, which does nothing with it. */
  get fd(): number {
    return this.#pipe.write;
  }

  /** Starts waiting for the end of the engine with this process id. What it inherits is up to the caller. */
  start(directory: string, pid: number): void {
    const child = spawn("/bin/sh", ["-c", SCRIPT, "bucatini-reaper", directory, String(pid)], {
      argv0: "bucatini-reaper",
      cwd: directory,
      env: { PATH: "/usr/bin:/bin" },
      detached: true,
      stdio: [this.#pipe.read, "ignore", "ignore"],
    });
    // Without a shell the directory stays until the next command that looks at it.
    child.on("error", () => {});
    child.unref();
  }

  /** Closes what we have of the pipe: the engine and the shell have their own. */
  close(): void {
    closeSync(this.#pipe.read);
    closeSync(this.#pipe.write);
  }
}
