/** Sockets that wait for clients: TCP connections, or datagrams from anybody. Results are not thrown but returned. */
import { ipv4Words } from "../base/address.ts";
import * as c from "../ffi/constants.ts";
import { close, fcntl } from "../ffi/libc.ts";
import * as libc from "../ffi/libc-socket.ts";
import { scratch } from "../ffi/memory.ts";
import { sockFprog } from "../ffi/structs.ts";
import { JUMP_IF_ANY_BIT, LOAD_BYTE, RETURN, writeProgram } from "./filter-program.ts";
import { bindToDevice, getOption, prepareTcp, setOption, writeSockaddr } from "./socket.ts";

export interface ListenOptions {
  /** An IP protocol number: TCP or UDP. */
  readonly protocol: number;
  /** Four words, IPv4 mapped into IPv6; undefined for every address, of both families when `v6`. */
  readonly address: Uint32Array | undefined;
  /** Family of the socket. */
  readonly v6: boolean;
  readonly port: number;
  /** Interface to listen on alone. */
  readonly device: string | undefined;
  /** Whether the address need not be there yet. */
  readonly freebind: boolean;
  /** Whether listeners of ours in its way are no hindrance while they are shared too (see `setShared`). */
  readonly share?: boolean;
  /** Interface index for a link-local address without `device`. */
  readonly scope?: number;
}

/** Connections that may wait; the kernel lowers it to net.core.somaxconn. */
const BACKLOG = 65_535;
/** Bytes that may wait at a UDP listener, which all its clients share; net.core.rmem_max is the limit. */
const UDP_BUFFER = 1024 * 1024;
/** Where the filter of a TCP socket finds flags: it sees packets from the TCP header on (RFC 9293 section 3.1). */
const TCP_FLAGS_AT = 13;
const TCP_SYN = 2;
/** How much of a packet passes a filter. */
const DROP = 0;
const PASS = 0xffff_ffff;
/** The last index an interface could have. */
const NO_INTERFACE = 0x7fff_ffff;
const ANY_IPV4 = ipv4Words(0);
const ANY_IPV6 = new Uint32Array(4);

/**
 * Binds a socket and closes it at once, which tells whether that can be done: the index of the interface that it was
 * bound to, 0 for none, or -errno. Nobody comes in meanwhile.
 */
export function tryToBind(options: ListenOptions): number {
  const fd = openSocket(options);
  if (fd < 0) return fd;
  const result = place(fd, options) || getOption(fd, c.SOL_SOCKET, c.SO_BINDTOIFINDEX);
  close(fd);
  return result;
}

/** A listener, or -errno. Where the kernel has no IPv6, "every address of both families" is every one of IPv4. */
export function openListener(options: ListenOptions): number {
  const { address, v6 } = options;
  const fd = openSocket(options);
  if (fd === -c.EAFNOSUPPORT && address === undefined && v6) return openListener({ ...options, v6: false });
  return fd < 0 ? fd : listenOn(fd, options);
}

function openSocket({ protocol, v6 }: ListenOptions): number {
  const type = protocol === c.IPPROTO_TCP ? c.SOCK_STREAM : c.SOCK_DGRAM;
  const flags = c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
  return libc.socket(v6 ? c.AF_INET6 : c.AF_INET, type | flags, protocol);
}

/** Makes a socket a listener that is not bound yet and does not block: the descriptor, or -errno, and it is closed. */
export function listenOn(fd: number, options: ListenOptions): number {
  const { protocol, v6 } = options;
  return orClose(fd, place(fd, options) || receive(fd, protocol, v6));
}

/** The same for one that is bound, and may even listen already: the descriptor, or -errno, and it is closed. */
export function adoptListener(fd: number, protocol: number, v6: boolean): number {
  const flags = fcntl(fd, c.F_GETFL, 0);
  const result = flags < 0 ? flags : fcntl(fd, c.F_SETFL, flags | c.O_NONBLOCK);
  return orClose(fd, result || receive(fd, protocol, v6));
}

/**
 * Lets nobody new in at a TCP listener, for good: connections that are being made can still be completed and accepted.
 * Further clients find whoever else listens there, or are refused; at a socket that is bound to a device they get no
 * answer and try again. 0 or -errno.
 */
export function retireListener(fd: number): number {
  // Nothing comes from there, and the kernel does not ask whether it exists. Only root may do so twice.
  const result = setOption(fd, c.SOL_SOCKET, c.SO_BINDTOIFINDEX, NO_INTERFACE);
  if (result === 0) return result;
  writeProgram([
    [LOAD_BYTE, 0, 0, TCP_FLAGS_AT],
    [JUMP_IF_ANY_BIT, 0, 1, TCP_SYN],
    [RETURN, 0, 0, DROP],
    [RETURN, 0, 0, PASS],
  ]);
  return libc.setsockopt(fd, c.SOL_SOCKET, c.SO_ATTACH_FILTER, scratch.address, sockFprog.size);
}

/**
 * Whether a listener may be overlapped by others that are shared (SO_REUSEPORT): one for all addresses by one for a
 * single address, say. Shared for longer than a change takes, programs of the same user could take clients away.
 */
export const setShared = (fd: number, on: boolean): number =>
  setOption(fd, c.SOL_SOCKET, c.SO_REUSEPORT, on ? 1 : 0);

/** Binds to address, port and device. */
function place(fd: number, options: ListenOptions): number {
  const { protocol, address, v6, port, device, freebind, share, scope } = options;
  // Connections of a predecessor may linger on a TCP port. On a UDP port, whoever else sets this too could take
  // datagrams away.
  let result = protocol === c.IPPROTO_TCP ? setOption(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1) : 0;
  // Said in so many words, because net.ipv6.bindv6only changes what is not.
  if (v6) result ||= setOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, address === undefined ? 0 : 1);
  if (freebind) {
    result ||= v6
      ? setOption(fd, c.IPPROTO_IPV6, c.IPV6_FREEBIND, 1)
      : setOption(fd, c.IPPROTO_IP, c.IP_FREEBIND, 1);
  }
  if (share === true) result ||= setShared(fd, true);
  if (device !== undefined) result ||= bindToDevice(fd, device);
  const words = address ?? (v6 ? ANY_IPV6 : ANY_IPV4);
  return result || libc.bind(fd, scratch.address, writeSockaddr(scratch.view, 0, words, 0, port, scope ?? 0));
}

/** Starts to listen; datagrams come with the address they were sent to and, where the kernel has them, as trains. */
function receive(fd: number, protocol: number, v6: boolean): number {
  // Connections inherit the options of their listener, which saves a call for each of them.
  if (protocol === c.IPPROTO_TCP) return libc.listen(prepareTcp(fd), BACKLOG);
  setOption(fd, c.SOL_SOCKET, c.SO_RCVBUF, UDP_BUFFER);
  setOption(fd, c.IPPROTO_UDP, c.UDP_GRO, 1);
  const result = setOption(fd, c.IPPROTO_IP, c.IP_RECVERR, 1) || setOption(fd, c.IPPROTO_IP, c.IP_PKTINFO, 1);
  if (!v6) return result;
  return (
    result ||
    setOption(fd, c.IPPROTO_IPV6, c.IPV6_RECVERR, 1) ||
    setOption(fd, c.IPPROTO_IPV6, c.IPV6_RECVPKTINFO, 1)
  );
}

function orClose(fd: number, result: number): number {
  if (result >= 0) return fd;
  close(fd);
  return result;
}
