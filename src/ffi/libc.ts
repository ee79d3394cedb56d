/**
 * The C functions we call, except those for sockets (libc-socket.ts), grouped by manual page. Each returns what
 * C returns, or the negative errno. Memory is named by its address; it must be pinned (memory.ts).
 */
import { SYS_PIDFD_GETFD, SYS_PIDFD_OPEN, SYS_SECCOMP } from "./constants.ts";
import { declare, errno } from "./library.ts";

const cRead = declare("intptr_t read(int fd, uintptr_t buffer, size_t count)");
/** read(2) */
export function read(fd: number, address: number, length: number): number {
  const result = cRead(fd, address, length);
  return result < 0 ? -errno[0] : result;
}

const cWrite = declare("intptr_t write(int fd, uintptr_t buffer, size_t count)");
/** write(2) */
export function write(fd: number, address: number, length: number): number {
  const result = cWrite(fd, address, length);
  return result < 0 ? -errno[0] : result;
}

const cWritev = declare("intptr_t writev(int fd, uintptr_t iovecs, int count)");
/** writev(2): `iovecs` is the address of structs iovec. */
export function writev(fd: number, iovecs: number, count: number): number {
  const result = cWritev(fd, iovecs, count);
  return result < 0 ? -errno[0] : result;
}

const cClose = declare("int close(int fd)");
/** close(2) */
export function close(fd: number): number {
  const result = cClose(fd);
  return result < 0 ? -errno[0] : result;
}

const cOpen = declare("int open(const char *path, int flags, uint mode)");
/** open(2) */
export function open(path: string, flags: number, mode = 0): number {
  const result = cOpen(path, flags, mode);
  return result < 0 ? -errno[0] : result;
}

const cPipe2 = declare("int pipe2(uintptr_t fds, int flags)");
/** pipe2(2): leaves two int32 at `fds`, the reading end first. */
export function pipe2(fds: number, flags: number): number {
  const result = cPipe2(fds, flags);
  return result < 0 ? -errno[0] : result;
}

const cSplice = declare(
  "intptr_t splice(int from, uintptr_t fromOffset, int to, uintptr_t toOffset, size_t length, uint flags)",
);
/** splice(2) without offsets. */
export function splice(from: number, to: number, length: number, flags: number): number {
  const result = cSplice(from, 0, to, 0, length, flags);
  return result < 0 ? -errno[0] : result;
}

const cFcntl = declare("int fcntl(int fd, int command, intptr_t argument)");
/** fcntl(2) */
export function fcntl(fd: number, command: number, argument: number): number {
  const result = cFcntl(fd, command, argument);
  return result < 0 ? -errno[0] : result;
}

const cFstatfs = declare("int fstatfs(int fd, uintptr_t buffer)");
/** fstatfs(2): leaves a struct statfs, whose first 64-bit word is the type of the file system. */
export function fstatfs(fd: number, address: number): number {
  const result = cFstatfs(fd, address);
  return result < 0 ? -errno[0] : result;
}

const cIoctl = declare("int ioctl(int fd, ulong request, uintptr_t argument)");
/** ioctl(2): `argument` is an address or the number itself, as the request wants it. */
export function ioctl(fd: number, request: number, argument: number): number {
  const result = cIoctl(fd, request, argument);
  return result < 0 ? -errno[0] : result;
}

const cExit = declare("void _exit(int status)");
/** _exit(2): ends the process at once, without what Node.js does at its end. */
export function exitNow(status: number): never {
  cExit(status);
  throw new Error("unreachable");
}

const cGetrandom = declare("intptr_t getrandom(uintptr_t buffer, size_t length, unsigned int flags)");
/** getrandom(2) from the kernel's usual source, for at most 256 bytes, which then come all. */
export function getrandom(buffer: number, length: number): number {
  const result = cGetrandom(buffer, length, 0);
  return result < 0 ? -errno[0] : result;
}

const cMmap = declare(
  "intptr_t mmap(uintptr_t hint, size_t length, int prot, int flags, int fd, int64_t at)",
);
/** mmap(2): the address. */
export function mmap(
  hint: number,
  length: number,
  prot: number,
  flags: number,
  fd: number,
  at: number,
): number {
  const result = cMmap(hint, length, prot, flags, fd, at);
  return result < 0 ? -errno[0] : result;
}

const cMadvise = declare("int madvise(uintptr_t address, size_t length, int advice)");
/** madvise(2): `address` at the start of a page. */
export function madvise(address: number, length: number, advice: number): number {
  const result = cMadvise(address, length, advice);
  return result < 0 ? -errno[0] : result;
}

const cEpollCreate1 = declare("int epoll_create1(int flags)");
/** epoll_create1(2) */
export function epollCreate1(flags: number): number {
  const result = cEpollCreate1(flags);
  return result < 0 ? -errno[0] : result;
}

const cEpollCtl = declare("int epoll_ctl(int epoll, int operation, int fd, uintptr_t event)");
/** epoll_ctl(2) */
export function epollCtl(epoll: number, operation: number, fd: number, event: number): number {
  const result = cEpollCtl(epoll, operation, fd, event);
  return result < 0 ? -errno[0] : result;
}

const cEpollWait = declare("int epoll_wait(int epoll, uintptr_t events, int capacity, int timeoutMs)");
/** epoll_wait(2) */
export function epollWait(epoll: number, events: number, capacity: number, timeoutMs: number): number {
  const result = cEpollWait(epoll, events, capacity, timeoutMs);
  return result < 0 ? -errno[0] : result;
}

const cPoll = declare("int poll(uintptr_t fds, ulong count, int timeoutMs)");
/** poll(2): `fds` are structs pollfd. */
export function poll(fds: number, count: number, timeoutMs: number): number {
  const result = cPoll(fds, count, timeoutMs);
  return result < 0 ? -errno[0] : result;
}

const cTimerfdCreate = declare("int timerfd_create(int clock, int flags)");
/** timerfd_create(2) */
export function timerfdCreate(clock: number, flags: number): number {
  const result = cTimerfdCreate(clock, flags);
  return result < 0 ? -errno[0] : result;
}

const cTimerfdSettime = declare("int timerfd_settime(int fd, int flags, uintptr_t next, uintptr_t before)");
/** timerfd_settime(2): `next` is a struct itimerspec; `before` may be 0. */
export function timerfdSettime(fd: number, flags: number, next: number, before: number): number {
  const result = cTimerfdSettime(fd, flags, next, before);
  return result < 0 ? -errno[0] : result;
}

const cEventfd = declare("int eventfd(uint initial, int flags)");
/** eventfd(2): a counter, read and written as a 64-bit word. */
export function eventfd(initial: number, flags: number): number {
  const result = cEventfd(initial, flags);
  return result < 0 ? -errno[0] : result;
}

const cPthreadSigmask = declare("int pthread_sigmask(int how, uintptr_t set, uintptr_t before)");
/** pthread_sigmask(3) for this thread: `set` is the address of SIGSET_BYTES with one bit for each signal. */
export const pthreadSigmask = (how: number, set: number): number => -cPthreadSigmask(how, set, 0);

const cSignalfd = declare("int signalfd(int fd, uintptr_t set, int flags)");
/**
 * signalfd(2) of a new descriptor: `set` as for `pthreadSigmask`. A signal comes this way when it is for a thread
 * that blocks it and reads; Node's other threads block next to none, so one for the process goes to them.
 */
export function signalfd(set: number, flags: number): number {
  const result = cSignalfd(-1, set, flags);
  return result < 0 ? -errno[0] : result;
}

const cInotifyInit1 = declare("int inotify_init1(int flags)");
/** inotify_init1(2) */
export function inotifyInit1(flags: number): number {
  const result = cInotifyInit1(flags);
  return result < 0 ? -errno[0] : result;
}

const cInotifyAddWatch = declare("int inotify_add_watch(int fd, const char *path, uint32_t mask)");
/** inotify_add_watch(2): the watch descriptor. */
export function inotifyAddWatch(fd: number, path: string, mask: number): number {
  const result = cInotifyAddWatch(fd, path, mask);
  return result < 0 ? -errno[0] : result;
}

const cInotifyRmWatch = declare("int inotify_rm_watch(int fd, int watch)");
/** inotify_rm_watch(2) */
export function inotifyRmWatch(fd: number, watch: number): number {
  const result = cInotifyRmWatch(fd, watch);
  return result < 0 ? -errno[0] : result;
}

const cUnshare = declare("int unshare(int flags)");
/** unshare(2) for this thread. */
export function unshare(flags: number): number {
  const result = cUnshare(flags);
  return result < 0 ? -errno[0] : result;
}

const cSetns = declare("int setns(int fd, int type)");
/** setns(2) for this thread. */
export function setns(fd: number, type: number): number {
  const result = cSetns(fd, type);
  return result < 0 ? -errno[0] : result;
}

const cPrctl = declare("int prctl(int operation, ulong a, ulong b, ulong c, ulong d)");
/** prctl(2) */
export function prctl(operation: number, a: number, b: number, c: number, d: number): number {
  const result = cPrctl(operation, a, b, c, d);
  return result < 0 ? -errno[0] : result;
}

const cCapget = declare("int capget(uintptr_t header, uintptr_t data)");
/** capget(2) */
export function capget(header: number, data: number): number {
  const result = cCapget(header, data);
  return result < 0 ? -errno[0] : result;
}

const cCapset = declare("int capset(uintptr_t header, uintptr_t data)");
/** capset(2) */
export function capset(header: number, data: number): number {
  const result = cCapset(header, data);
  return result < 0 ? -errno[0] : result;
}

const cSyscall = declare("long syscall(long number, long a, long b, long c, long d)");
/** pidfd_open(2): always close-on-exec. */
export function pidfdOpen(pid: number, flags: number): number {
  const result = cSyscall(SYS_PIDFD_OPEN, pid, flags, 0, 0);
  return result < 0 ? -errno[0] : result;
}
/** pidfd_getfd(2): always close-on-exec. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  const result = cSyscall(SYS_PIDFD_GETFD, pidfd, fd, 0, 0);
  return result < 0 ? -errno[0] : result;
}
/** seccomp(2) */
export function seccomp(operation: number, flags: number, argument: number): number {
  const result = cSyscall(SYS_SECCOMP, operation, flags, argument, 0);
  return result < 0 ? -errno[0] : result;
}

const cSchedYield = declare("int sched_yield()");
/** sched_yield(2); it cannot fail. */
export const schedYield = (): number => cSchedYield();

const cUvDefaultLoop = declare("uintptr_t uv_default_loop()");
const cUvBackendFd = declare("int uv_backend_fd(uintptr_t loop)");
/** The epoll descriptor of Node's own loop on the main thread. @see uv_backend_fd in libuv's manual */
export const nodeLoopFd = (): number => cUvBackendFd(cUvDefaultLoop());
