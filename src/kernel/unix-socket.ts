/** Sockets of the Unix family that Node.js is not to make by itself. */
import * as c from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { close } from "../ffi/libc.ts";
import * as libc from "../ffi/libc-socket.ts";
import { scratch } from "../ffi/memory.ts";
import { sockaddrUn } from "../ffi/structs.ts";

/** Clients that may wait; what Node.js takes too. */
const BACKLOG = 511;

/** Takes a connection from a socket that listens: its descriptor, or -errno. */
export const acceptUnix = (fd: number): number => libc.accept4(fd, 0, 0, c.SOCK_NONBLOCK | c.SOCK_CLOEXEC);

/** Both ends of a connection that keeps datagrams apart (SOCK_SEQPACKET) and blocks. Throws SysError. */
export function openDatagramPair(): [number, number] {
  check(libc.socketpair(c.AF_UNIX, c.SOCK_SEQPACKET | c.SOCK_CLOEXEC, 0, scratch.address), "socketpair");
  return [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
}

/** A socket that listens at a path, which must not exist and has 107 bytes at most. Throws SysError. */
export function listenUnix(path: string): number {
  const fd = check(libc.socket(c.AF_UNIX, c.SOCK_STREAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0), "socket");
  try {
    scratch.bytes.fill(0, 0, sockaddrUn.size);
    scratch.view.setUint16(sockaddrUn.family, c.AF_UNIX, true);
    // The last byte stays zero.
    new TextEncoder().encodeInto(path, scratch.bytes.subarray(sockaddrUn.path, sockaddrUn.size - 1));
    check(libc.bind(fd, scratch.address, sockaddrUn.size), "bind", path);
    check(libc.listen(fd, BACKLOG), "listen", path);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
