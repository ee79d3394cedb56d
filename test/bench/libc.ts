// The few C functions the load generator and the delayed link need. They do not use src/ffi on purpose: the measuring
// tool must not change when the code under test does.
import koffi from "koffi";

const libc = koffi.load(null);

/** Thrown by `check` right after the call: says what was called, and the errno. */
export class CallError extends Error {
  constructor(call: string) {
    super(`${call} failed with errno ${koffi.errno()}`);
  }
}

/** Returns `result`, or throws with the errno of the call that was just made. */
export function check(call: string, result: number): number {
  if (result < 0) throw new CallError(call);
  return result;
}

export const EAGAIN = 11;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_RCVBUF = 8;
export const SO_RCVTIMEO = 20;
export const SO_SNDTIMEO = 21;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const MSG_TRUNC = 0x20;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const CLONE_NEWNET = 0x40000000;
export const POLLIN = 1;

export const socket: (family: number, type: number, protocol: number) => number =
  libc.func("int socket(int, int, int)");
export const connect: (fd: number, address: Buffer, length: number) => number = libc.func(
  "int connect(int, const void *, uint32_t)",
);
export const bind: (fd: number, address: Buffer, length: number) => number = libc.func(
  "int bind(int, const void *, uint32_t)",
);
export const listen: (fd: number, backlog: number) => number = libc.func("int listen(int, int)");
/** `accept(fd, NULL, NULL)`: the two pointers are passed as 0. */
export const accept: (fd: number, address: number, length: number) => number = libc.func(
  "int accept(int, uintptr_t, uintptr_t)",
);
export const setsockopt: (fd: number, level: number, name: number, value: Buffer, length: number) => number =
  libc.func("int setsockopt(int, int, int, const void *, uint32_t)");
/** recv, send, read and write take addresses from `mapMemory`, so that nothing is converted in a call. */
export const recv: (fd: number, address: number, length: number, flags: number) => number = libc.func(
  "long recv(int, uintptr_t, size_t, int)",
);
export const send: (fd: number, address: number, length: number, flags: number) => number = libc.func(
  "long send(int, uintptr_t, size_t, int)",
);
export const read: (fd: number, address: number, length: number) => number = libc.func(
  "long read(int, uintptr_t, size_t)",
);
export const write: (fd: number, address: number, length: number) => number = libc.func(
  "long write(int, uintptr_t, size_t)",
);
export const close: (fd: number) => number = libc.func("int close(int)");
export const open: (path: string, flags: number) => number = libc.func("int open(const char *, int)");
export const ioctl: (fd: number, request: number, argument: Buffer | number) => number = libc.func(
  "int ioctl(int, unsigned long, void *)",
);
export const ioctlNumber: (fd: number, request: number, argument: number) => number = libc.func(
  "ioctl",
  "int",
  ["int", "unsigned long", "unsigned long"],
);
export const setns: (fd: number, type: number) => number = libc.func("int setns(int, int)");
/** `ppoll(fds, count, timeout, NULL)`; `timeout` is a struct timespec. */
export const ppoll: (fds: Buffer, count: number, timeout: Buffer, mask: number, maskSize: number) => number =
  libc.func("int ppoll(_Inout_ void *, unsigned long, const void *, uintptr_t, size_t)");
const mmap: (
  at: number,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => number = libc.func("uintptr_t mmap(uintptr_t, size_t, int, int, int, long)");

/** The errno of the call that was just made. */
export function errno(): number {
  return koffi.errno();
}

/** Zeroed memory that never moves; returns its address. */
export function mapMemory(bytes: number): number {
  const PROT_READ_WRITE = 3;
  const MAP_PRIVATE_ANONYMOUS = 0x22;
  return mmap(0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
}
