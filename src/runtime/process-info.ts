/** What /proc says of a process, to tell it from a later one with the same number. */
import { readFileSync } from "node:fs";

/**
 * When a process started, in clock ticks since boot; undefined when there is no such process or all of it has ended,
 * and with it what it had open. The number and this together name a process for good. @see proc_pid_stat(5)
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
  const [state, threads, started] = [fields[0], fields[17], fields[19]];
  // The first thread of a process that is being killed may be a zombie before the others have ended.
  return state === "X" || (state === "Z" && threads === "1") ? undefined : started;
}

/** Tells whether the process that started then is still there. */
export const isSameProcess = (pid: number, started: string): boolean => startTime(pid) === started;

/** Tells whether this process may enter namespaces by itself: CAP_SYS_ADMIN (bit 21) in its own user namespace. */
export function hasSysAdmin(): boolean {
  const line = /^CapEff:\s*([\da-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"));
  return line !== null && ((BigInt(`0x${line[1]}`) >> 21n) & 1n) === 1n;
}
