/**
 * The C functions for sockets, grouped by manual page. Each returns what C returns, or the negative errno. Memory
 * is named by its address; it must be pinned (memory.ts).
 */
import { declare, errno } from "./library.ts";

const cSocket = declare("int socket(int domain, int type, int protocol)");
/** socket(2) */
export function socket(domain: number, type: number, protocol: number): number {
  const result = cSocket(domain, type, protocol);
  return result < 0 ? -errno[0] : result;
}

const cSocketpair = declare("int socketpair(int domain, int type, int protocol, uintptr_t fds)");
/** socketpair(2): leaves two int32 at `fds`. */
export function socketpair(domain: number, type: number, protocol: number, fds: number): number {
  const result = cSocketpair(domain, type, protocol, fds);
  return result < 0 ? -errno[0] : result;
}

const cBind = declare("int bind(int fd, uintptr_t address, uint length)");
/** bind(2) */
export function bind(fd: number, address: number, length: number): number {
  const result = cBind(fd, address, length);
  return result < 0 ? -errno[0] : result;
}

const cConnect = declare("int connect(int fd, uintptr_t address, uint length)");
/** connect(2) */
export function connect(fd: number, address: number, length: number): number {
  const result = cConnect(fd, address, length);
  return result < 0 ? -errno[0] : result;
}

const cListen = declare("int listen(int fd, int backlog)");
/** listen(2) */
export function listen(fd: number, backlog: number): number {
  const result = cListen(fd, backlog);
  return result < 0 ? -errno[0] : result;
}

const cAccept4 = declare("int accept4(int fd, uintptr_t address, uintptr_t length, int flags)");
/** accept4(2): `length` is the address of an int32, or 0 together with `address`. */
export function accept4(fd: number, address: number, length: number, flags: number): number {
  const result = cAccept4(fd, address, length, flags);
  return result < 0 ? -errno[0] : result;
}

const cShutdown = declare("int shutdown(int fd, int how)");
/** shutdown(2) */
export function shutdown(fd: number, how: number): number {
  const result = cShutdown(fd, how);
  return result < 0 ? -errno[0] : result;
}

const cGetsockname = declare("int getsockname(int fd, uintptr_t address, uintptr_t length)");
/** getsockname(2): `length` is the address of an int32. */
export function getsockname(fd: number, address: number, length: number): number {
  const result = cGetsockname(fd, address, length);
  return result < 0 ? -errno[0] : result;
}

const cGetsockopt = declare("int getsockopt(int fd, int level, int name, uintptr_t value, uintptr_t length)");
/** getsockopt(2): `length` is the address of an int32. */
export function getsockopt(fd: number, level: number, name: number, value: number, length: number): number {
  const result = cGetsockopt(fd, level, name, value, length);
  return result < 0 ? -errno[0] : result;
}

const cSetsockopt = declare("int setsockopt(int fd, int level, int name, uintptr_t value, uint length)");
/** setsockopt(2) */
export function setsockopt(fd: number, level: number, name: number, value: number, length: number): number {
  const result = cSetsockopt(fd, level, name, value, length);
  return result < 0 ? -errno[0] : result;
}

const cSend = declare("intptr_t send(int fd, uintptr_t buffer, size_t length, int flags)");
/** send(2) */
export function send(fd: number, address: number, length: number, flags: number): number {
  const result = cSend(fd, address, length, flags);
  return result < 0 ? -errno[0] : result;
}

const cSendto = declare(
  "intptr_t sendto(int fd, uintptr_t buffer, size_t length, int flags, uintptr_t to, uint toLength)",
);
/** sendto(2) */
export function sendto(
  fd: number,
  address: number,
  length: number,
  flags: number,
  to: number,
  toLength: number,
): number {
  const result = cSendto(fd, address, length, flags, to, toLength);
  return result < 0 ? -errno[0] : result;
}

const cSendmsg = declare("intptr_t sendmsg(int fd, uintptr_t message, int flags)");
/** sendmsg(2) */
export function sendmsg(fd: number, message: number, flags: number): number {
  const result = cSendmsg(fd, message, flags);
  return result < 0 ? -errno[0] : result;
}

const cSendmmsg = declare("int sendmmsg(int fd, uintptr_t messages, uint count, int flags)");
/** sendmmsg(2): messages sent; the size of each is in its msg_len. */
export function sendmmsg(fd: number, messages: number, count: number, flags: number): number {
  const result = cSendmmsg(fd, messages, count, flags);
  return result < 0 ? -errno[0] : result;
}

const cRecv = declare("intptr_t recv(int fd, uintptr_t buffer, size_t length, int flags)");
/** recv(2) */
export function recv(fd: number, address: number, length: number, flags: number): number {
  const result = cRecv(fd, address, length, flags);
  return result < 0 ? -errno[0] : result;
}

const cRecvfrom = declare(
  "intptr_t recvfrom(int fd, uintptr_t buffer, size_t length, int flags, uintptr_t from, uintptr_t fromLength)",
);
/** recvfrom(2): `fromLength` is the address of an int32. */
export function recvfrom(
  fd: number,
  address: number,
  length: number,
  flags: number,
  from: number,
  fromLength: number,
): number {
  const result = cRecvfrom(fd, address, length, flags, from, fromLength);
  return result < 0 ? -errno[0] : result;
}

const cRecvmsg = declare("intptr_t recvmsg(int fd, uintptr_t message, int flags)");
/** recvmsg(2) */
export function recvmsg(fd: number, message: number, flags: number): number {
  const result = cRecvmsg(fd, message, flags);
  return result < 0 ? -errno[0] : result;
}

const cRecvmmsg = declare(
  "int recvmmsg(int fd, uintptr_t messages, uint count, int flags, uintptr_t timeout)",
);
/** recvmmsg(2) without a timeout. */
export function recvmmsg(fd: number, messages: number, count: number, flags: number): number {
  const result = cRecvmmsg(fd, messages, count, flags, 0);
  return result < 0 ? -errno[0] : result;
}
