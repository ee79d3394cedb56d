/**
 * Sockets of a network namespace that wait for clients, as the kernel lists them (sock_diag(7)). Synchronous; nothing is
 * allocated for a dump but what the caller does with it.
 */
import * as c from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { close } from "../ffi/libc.ts";
import * as libc from "../ffi/libc-socket.ts";
import { allocate } from "../ffi/memory.ts";
import { inetDiagMessage, inetDiagRequest, nlmsghdr } from "../ffi/structs.ts";
import { NetlinkFlag, NetlinkType } from "../wire/netlink-message.ts";
import { connectToKernel } from "./netlink.ts";

/** A socket that anybody may send to. */
export interface WaitingSocket {
  /** Where it is bound: four big-endian words, IPv4 mapped into IPv6. */
  readonly address: Uint32Array;
  port: number;
  /** Whether it serves both families; its address is then that of IPv6. */
  isDual: boolean;
  /** Index of the interface that it is bound to, or 0. */
  index: number;
  /** Its owner, as our user namespace numbers users. */
  uid: number;
  /** As in /proc/PID/fd: "socket:[inode]". */
  inode: number;
}

/** Of TCP those that listen, or are on the way to a connection; of UDP those without a peer. @see net/tcp_states.h */
const TCP_SYN_RECV = 3;
const TCP_LISTEN = 10;
const TCP_CLOSE = 7;

/** struct nlattr: length and type. */
const ATTRIBUTE_HEADER = 4;
const REQUEST_LENGTH = nlmsghdr.size + inetDiagRequest.size;
/** What a dump is answered in: the kernel fills at most 32 KiB at a time. */
const BUFFER_LENGTH = 32_768;
/** Times that the kernel may be out of memory during a dump. */
const ATTEMPTS = 10;
/** Used within one call only, by all sockets: a request, and answers behind it. */
const memory = allocate(REQUEST_LENGTH + BUFFER_LENGTH);
const ANSWER = REQUEST_LENGTH;

/** What `visit` is given, every time. */
const found: WaitingSocket = {
  address: new Uint32Array(4),
  port: 0,
  isDual: false,
  index: 0,
  uid: 0,
  inode: 0,
};

export class SockDiag {
  readonly #fd: number;
  #sequence = 0;
  #isRunning = false;

  /** Takes over a socket of NETLINK_SOCK_DIAG, whichever network namespace it was made in. Throws SysError. */
  constructor(fd: number) {
    this.#fd = fd;
    connectToKernel(fd);
  }

  /** Looks at the network namespace that this thread is in. Throws SysError. */
  static open(): SockDiag {
    const type = c.SOCK_RAW | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC;
    return new SockDiag(check(libc.socket(c.AF_NETLINK, type, c.NETLINK_SOCK_DIAG), "socket", "sock_diag"));
  }

  /**
   * Calls `visit` for every TCP or UDP socket of one family that waits for clients: 0, or -errno, when some may be
   * missing; -ENOENT when the kernel cannot list them. It gets the same object every time.
   */
  dump(protocol: number, v6: boolean, visit: (socket: WaitingSocket) => void): number {
    return this.#dump(protocol, v6, protocol === c.IPPROTO_TCP ? TCP_LISTEN : TCP_CLOSE, visit);
  }

  /** The same for TCP connections that clients have asked for and not confirmed yet. */
  dumpHandshakes(v6: boolean, visit: (socket: WaitingSocket) => void): number {
    return this.#dump(c.IPPROTO_TCP, v6, TCP_SYN_RECV, visit);
  }

  close(): void {
    close(this.#fd);
  }

  #dump(protocol: number, v6: boolean, state: number, visit: (socket: WaitingSocket) => void): number {
    // The kernel gives one dump at a time, and the last one may have been left by an exception.
    if (this.#isRunning) this.#drain();
    const sent = this.#request(protocol, v6, 1 << state);
    if (sent < 0) return sent;
    this.#isRunning = true;
    let attempts = 0;
    for (;;) {
      const length = libc.recv(this.#fd, memory.address + ANSWER, BUFFER_LENGTH, c.MSG_DONTWAIT);
      if (length === -c.EINTR) continue;
      if (length === -c.ENOBUFS && ++attempts < ATTEMPTS) continue;
      if (length < 0) return length;
      const result = parseAnswer(memory.view, ANSWER, ANSWER + length, this.#sequence, state, visit);
      if (result > 0) continue;
      this.#isRunning = false;
      return result;
    }
  }

  /** Sends the request for a dump: non-negative or -errno. */
  #request(protocol: number, v6: boolean, states: number): number {
    const { view } = memory;
    this.#sequence = (this.#sequence + 1) >>> 0;
    memory.bytes.fill(0, 0, REQUEST_LENGTH);
    view.setUint32(nlmsghdr.length, REQUEST_LENGTH, true);
    view.setUint16(nlmsghdr.type, c.SOCK_DIAG_BY_FAMILY, true);
    view.setUint16(nlmsghdr.flags, NetlinkFlag.Request | NetlinkFlag.Dump, true);
    view.setUint32(nlmsghdr.sequence, this.#sequence, true);
    view.setUint8(nlmsghdr.size + inetDiagRequest.family, v6 ? c.AF_INET6 : c.AF_INET);
    view.setUint8(nlmsghdr.size + inetDiagRequest.protocol, protocol);
    view.setUint32(nlmsghdr.size + inetDiagRequest.states, states, true);
    let sent = -c.EINTR;
    while (sent === -c.EINTR) sent = libc.send(this.#fd, memory.address, REQUEST_LENGTH, c.MSG_DONTWAIT);
    return sent;
  }

  #drain(): void {
    let length = 1;
    while (length > 0 || length === -c.EINTR) {
      length = libc.recv(this.#fd, memory.address + ANSWER, BUFFER_LENGTH, c.MSG_DONTWAIT);
    }
  }
}

/**
 * Takes the messages of the answer from `start` to `end`: 1 when more will come, 0 at the end of the dump, or -errno.
 * What does not fit ends the answer.
 */
export function parseAnswer(
  view: DataView,
  start: number,
  end: number,
  sequence: number,
  state: number,
  visit: (socket: WaitingSocket) => void,
): number {
  let at = start;
  while (at + nlmsghdr.size <= end) {
    const size = view.getUint32(at + nlmsghdr.length, true);
    if (size < nlmsghdr.size || size > end - at) break;
    const type = view.getUint16(at + nlmsghdr.type, true);
    const body = at + nlmsghdr.size;
    const next = at + ((size + 3) & ~3);
    // What is left of an exchange that was given up is not for us.
    if (view.getUint32(at + nlmsghdr.sequence, true) === sequence) {
      if (type === NetlinkType.Done || type === NetlinkType.Error) {
        return size < nlmsghdr.size + 4 ? 0 : Math.min(view.getInt32(body, true), 0);
      }
      const fits = size >= nlmsghdr.size + inetDiagMessage.size;
      if (fits && view.getUint8(body + inetDiagMessage.state) === state) {
        readSocket(view, body, at + size);
        visit(found);
      }
    }
    at = next;
  }
  return 1;
}

/** Leaves in `found` what the struct inet_diag_msg at `at` and the attributes up to `end` tell. */
function readSocket(view: DataView, at: number, end: number): void {
  const { address } = found;
  const source = at + inetDiagMessage.source;
  const isV6 = view.getUint8(at + inetDiagMessage.family) === c.AF_INET6;
  for (let i = 0; i < 4; i++) address[i] = isV6 ? view.getUint32(source + 4 * i) : 0;
  if (!isV6) {
    address[2] = 0xffff;
    address[3] = view.getUint32(source);
  }
  found.port = view.getUint16(at + inetDiagMessage.sourcePort);
  found.index = view.getUint32(at + inetDiagMessage.index, true);
  found.uid = view.getUint32(at + inetDiagMessage.uid, true);
  found.inode = view.getUint32(at + inetDiagMessage.inode, true);
  found.isDual = isV6 && isForBoth(view, at + inetDiagMessage.size, end);
}

/** Whether the attributes say that a socket of IPv6 serves IPv4 too. */
function isForBoth(view: DataView, start: number, end: number): boolean {
  for (let at = start; at + ATTRIBUTE_HEADER < end;) {
    const size = view.getUint16(at, true);
    if (size <= ATTRIBUTE_HEADER || size > end - at) break;
    if (view.getUint16(at + 2, true) === c.INET_DIAG_SKV6ONLY)
      return view.getUint8(at + ATTRIBUTE_HEADER) === 0;
    at += (size + 3) & ~3;
  }
  return false;
}
