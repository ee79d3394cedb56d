/** Calls about open files that the launcher needs and the engine does not. Results as in libc.ts. */
import { declare, errno } from "./library.ts";

const cFlock = declare("int flock(int fd, int operation)");
/** flock(2) */
export function flock(fd: number, operation: number): number {
  const result = cFlock(fd, operation);
  return result < 0 ? -errno[0] : result;
}
