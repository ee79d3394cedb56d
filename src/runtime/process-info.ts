/** What /proc says of a process, to tell it from a later one with the same number. */
import { readFileSync } from "node:fs";

/**
 * When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); undefined when there is no
 * such process or it is a zombie. The number and this together name a process for good.
 */
export function startTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // ENOENT or ESRCH: the process is gone.
    return undefined;
  }
  // The second field is the name in parentheses and may hold anything, so count from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

/** Tells whether the process that started then is still there. */
export const isSameProcess = (pid: number, started: string): boolean => startTime(pid) === started;

/** Tells whether this process may enter namespaces by itself: CAP_SYS_ADMIN (bit 21) in its own user namespace. */
export function hasSysAdmin(): boolean {
  const line = /^CapEff:\s*([\da-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return line !== null && ((BigInt(`0x${line[1]}`) >> 21n) & 1n) === 1n;
}
