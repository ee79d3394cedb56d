/**
 * C functions on a thread of libuv's pool, for what changes or depends on the calling thread. Which thread it is,
 * is not known. Each gives what C returns, or the negative errno.
 */
import { declare, errno } from "./library.ts";

type PoolFunction = ReturnType<typeof declare>;

function onPool(call: PoolFunction, ...args: (number | string)[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error, result) => {
      // koffi carries errno over from the thread of the call, for the time of this callback.
      const code = errno[0];
      if (error === null) resolve(result < 0 ? -code : result);
      else reject(error);
    });
  });
}

const cSetns = declare("int setns(int fd, int type)");
/** setns(2) for the pool's thread, which stays in that namespace. */
export const setnsOnPool = (fd: number, type: number): Promise<number> => onPool(cSetns, fd, type);

const cOpen = declare("int open(const char *path, int flags, uint mode)");
/** open(2) of an existing file. */
export const openOnPool = (path: string, flags: number): Promise<number> => onPool(cOpen, path, flags, 0);

const cSocket = declare("int socket(int domain, int type, int protocol)");
/** socket(2) */
export const socketOnPool = (domain: number, type: number, protocol: number): Promise<number> =>
  onPool(cSocket, domain, type, protocol);

const cCapset = declare("int capset(uintptr_t header, uintptr_t data)");
/** capset(2) for the pool's thread. */
export const capsetOnPool = (header: number, data: number): Promise<number> => onPool(cCapset, header, data);
