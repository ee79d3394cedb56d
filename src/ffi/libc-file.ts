/** Calls about open files that the launcher needs and the engine does not. Results as in libc.ts. */
import { declare, errno } from "./library.ts";

const cFlock = declare("int flock(int fd, int operation)");
/** flock(2) */
export function flock(fd: number, operation: number): number {
  const result = cFlock(fd, operation);
  return result < 0 ? -errno[0] : result;
}

const cSignal = declare("uintptr_t signal(int number, uintptr_t handler)");
/** signal(2) with SIG_DFL (0) or SIG_IGN (1); our own handlers are Node's business. */
export function signal(number: number, handler: 0 | 1): void {
  cSignal(number, handler);
}
