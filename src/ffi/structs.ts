/** The kernel's structures that we read and write, as 64-bit Linux lays them out (x86-64 and arm64). */
import { endianness } from "node:os";
import { assert } from "../base/assert.ts";
import { struct } from "./layout.ts";

assert(endianness() === "LE", "only little-endian machines are supported");
assert(process.arch === "x64" || process.arch === "arm64", `${process.arch} is not supported`);

/** ip(7) */
export const sockaddrIn = struct("sockaddr_in", 16, { family: "u16", port: "u16", address: "u32", zero: 8 });
/** ipv6(7) */
export const sockaddrIn6 = struct("sockaddr_in6", 28, {
  family: "u16",
  port: "u16",
  flowInfo: "u32",
  address: 16,
  scope: "u32",
});
/** unix(7) */
export const sockaddrUn = struct("sockaddr_un", 110, { family: "u16", path: 108 });
/** epoll_event(3type); packed on x86-64 only. @see linux/eventpoll.h */
export const epollEvent =
  process.arch === "x64"
    ? struct("epoll_event", 12, { events: "u32", data: "u64" }, true)
    : struct("epoll_event", 16, { events: "u32", data: "u64" });
/** iovec(3type) */
export const iovec = struct("iovec", 16, { base: "u64", length: "u64" });
/** recvmsg(2) */
export const msghdr = struct("msghdr", 56, {
  name: "u64",
  nameLength: "u32",
  iovecs: "u64",
  iovecCount: "u64",
  control: "u64",
  controlLength: "u64",
  flags: "u32",
});
/** recvmmsg(2): a msghdr and the bytes received or sent. */
export const mmsghdr = struct("mmsghdr", 64, { header: 56, length: "u32", pad: "u32" });
/** cmsg(3): the header, which the data follow. Messages start at multiples of 8 bytes. */
export const cmsghdr = struct("cmsghdr", 16, { length: "u64", level: "u32", type: "u32" });
/** ip(7), IP_PKTINFO: `destination` is that of the header, `local` the address that answers come from. */
export const inPktinfo = struct("in_pktinfo", 12, { index: "u32", local: "u32", destination: "u32" });
/** ipv6(7), IPV6_PKTINFO */
export const in6Pktinfo = struct("in6_pktinfo", 20, { address: 16, index: "u32" });
/** linux/errqueue.h: the offender's sockaddr follows. */
export const sockExtendedErr = struct("sock_extended_err", 16, {
  errno: "u32",
  origin: "u8",
  type: "u8",
  code: "u8",
  pad: "u8",
  info: "u32",
  data: "u32",
});
/** netdevice(7) */
export const ifreq = struct("ifreq", 40, { name: 16, value: "u64", rest: 16 });
/** socket(7), SO_LINGER */
export const linger = struct("linger", 8, { on: "u32", seconds: "u32" });
/** unix(7), SO_PEERCRED */
export const ucred = struct("ucred", 12, { pid: "u32", uid: "u32", gid: "u32" });
/** netlink(7) */
export const nlmsghdr = struct("nlmsghdr", 16, {
  length: "u32",
  type: "u16",
  flags: "u16",
  sequence: "u32",
  port: "u32",
});
/** sock_diag(7): a request, and the answer for one socket, which attributes follow. Ports and addresses: big-endian. */
export const inetDiagRequest = struct("inet_diag_req_v2", 56, {
  family: "u8",
  protocol: "u8",
  extensions: "u8",
  pad: "u8",
  states: "u32",
  id: 48,
});
export const inetDiagMessage = struct("inet_diag_msg", 72, {
  family: "u8",
  state: "u8",
  timer: "u8",
  retransmits: "u8",
  sourcePort: "u16",
  targetPort: "u16",
  source: 16,
  target: 16,
  index: "u32",
  cookie: 8,
  expires: "u32",
  receiveQueue: "u32",
  sendQueue: "u32",
  uid: "u32",
  inode: "u32",
});
/** capget(2): the header, and one of its two data words. */
export const capHeader = struct("__user_cap_header_struct", 8, { version: "u32", pid: "u32" });
export const capData = struct("__user_cap_data_struct", 12, {
  effective: "u32",
  permitted: "u32",
  inheritable: "u32",
});
/** timerfd_settime(2): two struct timespec, the period and the first expiry. */
export const itimerspec = struct("itimerspec", 32, {
  intervalSeconds: "u64",
  intervalNanoseconds: "u64",
  valueSeconds: "u64",
  valueNanoseconds: "u64",
});
/** signalfd(2) */
export const signalfdSiginfo = struct("signalfd_siginfo", 128, {
  signo: "u32",
  errno: "u32",
  code: "u32",
  pid: "u32",
  uid: "u32",
  rest: 108,
});
/** poll(2) */
export const pollfd = struct("pollfd", 8, { fd: "u32", events: "u16", returned: "u16" });
/** seccomp(2): one instruction, and the program. */
export const sockFilter = struct("sock_filter", 8, {
  code: "u16",
  ifTrue: "u8",
  ifFalse: "u8",
  value: "u32",
});
export const sockFprog = struct("sock_fprog", 16, { length: "u16", filter: "u64" });
