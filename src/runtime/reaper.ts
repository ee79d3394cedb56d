/**
 * What removes the directory of an engine that may not do so itself: root's engines own no files at all, so that one
 * that was taken over can neither hide nor touch those of others. A shell without capabilities waits until the last
 * descriptor of a pipe is closed, which is the engine's end, however it ends.
 */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { openPipe } from "../kernel/process.ts";

/**
 * It works in the directory and removes what is in this one, and then empty ones by their names: there may be a new
 * engine of the same name already.
 */
const SCRIPT = 'read -r end; rm -rf ./*; rmdir "$1" "${1%/*}"';

/** Starts it. Gives a descriptor for the engine, and for nobody else; the caller closes it here. Throws SysError. */
export function startReaper(directory: string): number {
  const pipe = openPipe();
  const child = spawn("/bin/sh", ["-c", SCRIPT, "bucatini-reaper", directory], {
    argv0: "bucatini-reaper",
    cwd: directory,
    env: { PATH: "/usr/bin:/bin" },
    detached: true,
    stdio: [pipe.read, "ignore", "ignore"],
  });
  // Without a shell the directory stays until the next command that looks at it.
  child.on("error", () => {});
  child.unref();
  closeSync(pipe.read);
  return pipe.write;
}
