/**
 * Sockets of the outside world: opening, addresses, options. Results are non-negative or a negative errno. An
 * address is four big-endian words at an index into a Uint32Array, IPv4 mapped into IPv6; ports are numbers.
 */
import { ipv4Words, isIpv4, isLinkLocal, isMulticast, isUnspecified } from "../base/address.ts";
import * as c from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { close } from "../ffi/libc.ts";
import * as libc from "../ffi/libc-socket.ts";
import { scratch } from "../ffi/memory.ts";
import { linger, sockaddrIn, sockaddrIn6, ucred } from "../ffi/structs.ts";

/** Where `scratch` holds the length of an address or option; the value itself is at its start. */
const LENGTH_AT = 512;
const FLAGS = c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
const RENO = new TextEncoder().encode("reno");
/** TCP_CA_NAME_MAX in net/tcp.h. */
const CONGESTION_NAME = 16;
const ANY_4 = ipv4Words(0);
/** Congestion controls that pace nothing: what nearly all systems use. */
const UNPACED = ["cubic", "reno"];

/** A non-blocking TCP socket with the options of `prepareTcp`. */
export const openTcp = (v6: boolean): number =>
  prepareTcp(libc.socket(v6 ? c.AF_INET6 : c.AF_INET, c.SOCK_STREAM | FLAGS, 0));

/**
 * Options of every connection: TCP_NODELAY, urgent bytes in the stream where they were sent (RFC 6093), and a reset at
 * the end of this process, so that nobody takes a cut stream for a complete one. Gives the descriptor.
 */
export function prepareTcp(fd: number): number {
  if (fd < 0) return fd;
  setOption(fd, c.IPPROTO_TCP, c.TCP_NODELAY, 1);
  setOption(fd, c.SOL_SOCKET, c.SO_OOBINLINE, 1);
  setResetOnClose(fd, true);
  return fd;
}

/** A non-blocking UDP socket with the options of `prepareUdp`. */
export const openUdp = (v6: boolean): number =>
  prepareUdp(libc.socket(v6 ? c.AF_INET6 : c.AF_INET, c.SOCK_DGRAM | FLAGS, 0), v6);

/** The error queue, and trains on receipt where the kernel has them. Gives the descriptor, or closes it: -errno. */
export function prepareUdp(fd: number, v6: boolean): number {
  if (fd >= 0) setOption(fd, c.IPPROTO_UDP, c.UDP_GRO, 1);
  return withErrorQueue(fd, v6);
}

/** A non-blocking ping socket with the error queue on; -EACCES outside net.ipv4.ping_group_range. See icmp(7). */
export function openPing(v6: boolean): number {
  const family = v6 ? c.AF_INET6 : c.AF_INET;
  const fd = libc.socket(family, c.SOCK_DGRAM | FLAGS, v6 ? c.IPPROTO_ICMPV6 : c.IPPROTO_ICMP);
  return withErrorQueue(fd, v6);
}

function withErrorQueue(fd: number, v6: boolean): number {
  if (fd < 0) return fd;
  const result = v6
    ? setOption(fd, c.IPPROTO_IPV6, c.IPV6_RECVERR, 1)
    : setOption(fd, c.IPPROTO_IP, c.IP_RECVERR, 1);
  if (result >= 0) return fd;
  close(fd);
  return result;
}

/** Whether this process may listen on a port, as it was asked for with a socket that is closed again. */
export function mayListen(port: number): boolean {
  const fd = check(openTcp(false), "socket");
  const result = bind(fd, ANY_4, 0, port, 0);
  close(fd);
  return result !== -c.EACCES;
}

/**
 * Binds to an address and, unless `port` is 0, to that port. Not with SO_REUSEADDR: a container could then claim
 * the port of another one, or of a program of the host, and receive its datagrams.
 * @param scope interface index for link-local addresses, or 0
 */
export function bind(fd: number, words: Uint32Array, at: number, port: number, scope: number): number {
  // Else a wildcard would claim the port in IPv4 too.
  if (!isIpv4(words, at) && isUnspecified(words, at)) setOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 1);
  return libc.bind(fd, scratch.address, writeSockaddr(scratch.view, 0, words, at, port, scope));
}

/** @param scope interface index for link-local addresses, or 0 */
export function connect(fd: number, words: Uint32Array, at: number, port: number, scope: number): number {
  return libc.connect(fd, scratch.address, writeSockaddr(scratch.view, 0, words, at, port, scope));
}

/** Stores the local address of a socket and returns its port. */
export function localAddress(fd: number, words: Uint32Array, at: number): number {
  scratch.view.setInt32(LENGTH_AT, sockaddrIn6.size, true);
  const result = libc.getsockname(fd, scratch.address, scratch.address + LENGTH_AT);
  return result < 0 ? result : readSockaddr(scratch.view, 0, words, at);
}

/** What a socket of TCP or UDP is bound to; undefined for any other descriptor, and without a port. */
export function boundTo(fd: number): { protocol: number; words: Uint32Array; port: number } | undefined {
  const protocol = getOption(fd, c.SOL_SOCKET, c.SO_PROTOCOL);
  if (protocol !== c.IPPROTO_TCP && protocol !== c.IPPROTO_UDP) return undefined;
  const words = new Uint32Array(4);
  const port = localAddress(fd, words, 0);
  return port > 0 ? { protocol, words, port } : undefined;
}

/**
 * Takes a connection from a listening socket, non-blocking, with the options that its listener has (kernel/listen.ts).
 * Stores the peer's address and, in the word behind it, the port.
 */
export function accept(fd: number, words: Uint32Array, at: number): number {
  scratch.view.setInt32(LENGTH_AT, sockaddrIn6.size, true);
  const result = libc.accept4(fd, scratch.address, scratch.address + LENGTH_AT, FLAGS);
  if (result < 0) return result;
  words[at + 4] = readSockaddr(scratch.view, 0, words, at);
  return result;
}

/** Binds to an interface by name (SO_BINDTODEVICE); unprivileged since Linux 5.7. */
export function bindToDevice(fd: number, name: string): number {
  const { written } = new TextEncoder().encodeInto(name, scratch.bytes.subarray(0, c.IFNAMSIZ));
  return libc.setsockopt(fd, c.SOL_SOCKET, c.SO_BINDTODEVICE, scratch.address, written);
}

/** The interface that a socket is bound to, or undefined. */
export function boundDevice(fd: number): string | undefined {
  scratch.view.setInt32(LENGTH_AT, c.IFNAMSIZ, true);
  const lengthAt = scratch.address + LENGTH_AT;
  if (libc.getsockopt(fd, c.SOL_SOCKET, c.SO_BINDTODEVICE, scratch.address, lengthAt) < 0) return undefined;
  // The final zero counts; without an interface there is nothing at all.
  const length = scratch.view.getInt32(LENGTH_AT, true) - 1;
  return length < 1 ? undefined : new TextDecoder().decode(scratch.bytes.subarray(0, length));
}

/**
 * Who connected to or made the other end of a Unix socket: its effective uid then, as our user namespace numbers
 * users, and its process, as our PID namespace does. A user without a number here is the overflow uid (see
 * user_namespaces(7)), such a process is 0.
 */
export function peerOf(fd: number): { uid: number; pid: number } {
  scratch.view.setInt32(LENGTH_AT, ucred.size, true);
  const lengthAt = scratch.address + LENGTH_AT;
  check(
    libc.getsockopt(fd, c.SOL_SOCKET, c.SO_PEERCRED, scratch.address, lengthAt),
    "getsockopt SO_PEERCRED",
  );
  return { uid: scratch.view.getUint32(ucred.uid, true), pid: scratch.view.getUint32(ucred.pid, true) };
}

/** Sets an option whose value is an int. */
export function setOption(fd: number, level: number, name: number, value: number): number {
  scratch.view.setInt32(0, value, true);
  return libc.setsockopt(fd, level, name, scratch.address, 4);
}

/** The value of an option that is never negative, or -errno. */
export function getOption(fd: number, level: number, name: number): number {
  scratch.view.setInt32(LENGTH_AT, 4, true);
  const result = libc.getsockopt(fd, level, name, scratch.address, scratch.address + LENGTH_AT);
  return result < 0 ? result : scratch.view.getInt32(0, true);
}

/** Closes a connection so that the peer sees a reset. */
export function closeReset(fd: number): void {
  setResetOnClose(fd, true);
  close(fd);
}

/**
 * For a connection that does not leave this machine: the simplest congestion control (tcp(7)), which every kernel has
 * and every user may choose. One that paces what it sends, such as BBR, costs twice the time and gains nothing here.
 */
export function setLocal(fd: number): number {
  scratch.bytes.set(RENO);
  return libc.setsockopt(fd, c.IPPROTO_TCP, c.TCP_CONGESTION, scratch.address, RENO.length);
}

/** Whether connections pace what they send unless `setLocal` keeps them from it. */
export function isPacedByDefault(): boolean {
  const fd = libc.socket(c.AF_INET, c.SOCK_STREAM | FLAGS, 0);
  if (fd < 0) return true;
  scratch.view.setInt32(LENGTH_AT, CONGESTION_NAME, true);
  libc.getsockopt(fd, c.IPPROTO_TCP, c.TCP_CONGESTION, scratch.address, scratch.address + LENGTH_AT);
  close(fd);
  const [name] = new TextDecoder().decode(scratch.bytes.subarray(0, CONGESTION_NAME)).split("\0");
  return !UNPACED.includes(name);
}

/** Whether the peer sees a reset when a connection is closed, which the end of the process does too. */
export function setResetOnClose(fd: number, on: boolean): number {
  scratch.view.setInt32(linger.on, on ? 1 : 0, true);
  scratch.view.setInt32(linger.seconds, 0, true);
  return libc.setsockopt(fd, c.SOL_SOCKET, c.SO_LINGER, scratch.address, linger.size);
}

/** Writes a sockaddr_in or sockaddr_in6 at `offset` and returns its length. */
export function writeSockaddr(
  view: DataView,
  offset: number,
  words: Uint32Array,
  at: number,
  port: number,
  scope: number,
): number {
  if (isIpv4(words, at)) {
    view.setUint16(offset + sockaddrIn.family, c.AF_INET, true);
    view.setUint16(offset + sockaddrIn.port, port);
    view.setUint32(offset + sockaddrIn.address, words[at + 3]);
    return sockaddrIn.size;
  }
  view.setUint16(offset + sockaddrIn6.family, c.AF_INET6, true);
  view.setUint16(offset + sockaddrIn6.port, port);
  view.setUint32(offset + sockaddrIn6.flowInfo, 0);
  for (let i = 0; i < 4; i++) view.setUint32(offset + sockaddrIn6.address + 4 * i, words[at + i]);
  view.setUint32(offset + sockaddrIn6.scope, needsScope(words, at) ? scope : 0, true);
  return sockaddrIn6.size;
}

/** Tells whether an IPv6 address means nothing without an interface: fe80::/10 and ff02::/16. */
export const needsScope = (words: Uint32Array, at: number): boolean =>
  isLinkLocal(words, at) || (isMulticast(words, at) && ((words[at] >>> 16) & 0xf) === 2);

/** Stores the address of a sockaddr_in or sockaddr_in6 at `offset`, all zero for other families; its port. */
export function readSockaddr(view: DataView, offset: number, words: Uint32Array, at: number): number {
  const family = view.getUint16(offset, true);
  words.fill(0, at, at + 4);
  if (family === c.AF_INET) {
    words[at + 2] = 0xffff;
    words[at + 3] = view.getUint32(offset + sockaddrIn.address);
  } else if (family === c.AF_INET6) {
    for (let i = 0; i < 4; i++) words[at + i] = view.getUint32(offset + sockaddrIn6.address + 4 * i);
  } else {
    return 0;
  }
  return view.getUint16(offset + sockaddrIn.port);
}
