/** Gives up privileges and prints, as JSON, what /proc says of this thread and of a program it starts. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { CAP_NET_ADMIN, CAP_SYS_ADMIN } from "../../../src/ffi/constants.ts";
import {
  forbidInspection,
  forbidNewPrivileges,
  hasCapability,
  limitCapabilities,
} from "../../../src/kernel/caps.ts";

function privileges(status: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(status.matchAll(/^(Cap\w+|NoNewPrivs):\s*(\w+)$/gm), ([, k, v]) => [k, v]),
  );
}

const before = hasCapability(CAP_SYS_ADMIN);
limitCapabilities([CAP_NET_ADMIN]);
forbidNewPrivileges();
const result = {
  had: before,
  has: [hasCapability(CAP_SYS_ADMIN), hasCapability(CAP_NET_ADMIN)],
  own: privileges(readFileSync("/proc/thread-self/status", "utf8")),
  child: privileges(execFileSync("cat", ["/proc/self/status"], { encoding: "utf8" })),
};
forbidInspection();
process.stdout.write(`${JSON.stringify(result)}\n`);
