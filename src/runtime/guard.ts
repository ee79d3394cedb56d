/** Starts the guard (guard-main.ts), which has the power that its engine must not have. */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { openDatagramPair } from "../kernel/unix-socket.ts";
import { installedFile } from "./installation.ts";

/** It waits most of its life. */
const NODE_OPTIONS = ["--max-semi-space-size=1", "--v8-pool-size=1"];

/**
 * Starts a guard, which has the capabilities that are passed on, and ends when nobody has the engine's end of its socket
 * any more. Gives that end, to be closed by the caller, on which requests are made as on `netlink`.
 * @param netlink rtnetlink in the container; it stays open
 * @param interfaceIndex the one interface that may be changed
 */
export function startGuard(netlink: number, interfaceIndex: number): number {
  const [engine, guard] = openDatagramPair();
  const child = spawn(
    process.execPath,
    [...NODE_OPTIONS, installedFile("guard.cjs"), String(interfaceIndex)],
    {
      argv0: "bucatini-guard",
      cwd: "/",
      env: {},
      detached: true,
      stdio: [guard, netlink, "ignore"],
    },
  );
  // Without it the engine finds its end closed, and says so.
  child.on("error", () => {});
  child.unref();
  closeSync(guard);
  return engine;
}
