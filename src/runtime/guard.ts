/** Starts the guard (guard-main.ts), which has the power that its engine must not have. */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { openDatagramPair } from "../kernel/unix-socket.ts";
import { installedFile } from "./installation.ts";

/** Most containers never change: until the first request announces itself by a line, there is only a shell. */
const SCRIPT = 'read -r line && exec "$@"';
/** It waits most of its life. */
const NODE_OPTIONS = ["--max-semi-space-size=1", "--v8-pool-size=1"];

/**
 * Starts a guard, which has the capabilities that are passed on, and ends when nobody has the engine's end of its socket
 * any more. Gives that end, to be closed by the caller.
 * @param netlink rtnetlink in the container, for the guard alone; to be closed by the caller
 * @param interfaceIndex the one interface that may be changed
 */
export function startGuard(netlink: number, interfaceIndex: number): number {
  const [engine, guard] = openDatagramPair();
  const program = [process.execPath, ...NODE_OPTIONS, installedFile("guard.cjs"), String(interfaceIndex)];
  const child = spawn("/bin/sh", ["-c", SCRIPT, "bucatini-guard", ...program], {
    argv0: "bucatini-guard",
    cwd: "/",
    env: {},
    detached: true,
    stdio: [guard, netlink, "ignore"],
  });
  // Without it the engine finds its end closed, and says so.
  child.on("error", () => {});
  child.unref();
  closeSync(guard);
  return engine;
}
