/**
 * A netlink socket (netlink(7)). Requests and dumps are answered within the call, because the kernel queues its
 * answer before the request returns: nothing here blocks, unless there is a guard in between (runtime/guard.ts). A
 * socket that receives multicasts is for `drain` only; requests use one of their own, so that the two never meet.
 */
import { SysError } from "../base/errors.ts";
import {
  AF_NETLINK,
  EAGAIN,
  EINTR,
  ENOBUFS,
  EPIPE,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NETLINK_ADD_MEMBERSHIP,
  NETLINK_EXT_ACK,
  NETLINK_GET_STRICT_CHK,
  NETLINK_ROUTE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
} from "../ffi/constants.ts";
import { check, errnoName } from "../ffi/errno.ts";
import { close } from "../ffi/libc.ts";
import { bind, connect, recvfrom, sendto, setsockopt, socket } from "../ffi/libc-socket.ts";
import { allocate } from "../ffi/memory.ts";
import {
  attributeText,
  decodeAttributes,
  encodeNetlinkMessage,
  forEachNetlinkMessage,
  LITTLE_ENDIAN,
  NETLINK_HEADER_LENGTH,
  NetlinkFlag,
  netlinkLength,
  netlinkSequence,
  netlinkType,
  NetlinkType,
  viewOf,
  writeNetlinkHeader,
} from "../wire/netlink-message.ts";
import type { NetlinkMessage } from "../wire/netlink-message.ts";
import { isReadable } from "./process.ts";

/** Room for one datagram; the kernel fills at most 32 KiB of it. */
const BUFFER_LENGTH = 65_536;
/** struct sockaddr_nl (family, pad, port, groups), an int32 for its length, an int32 for an option. */
const SOCKADDR_AT = BUFFER_LENGTH;
const SOCKADDR_LENGTH = 12;
const SOCKADDR_PORT_AT = SOCKADDR_AT + 4;
const LENGTH_AT = SOCKADDR_AT + 16;
const OPTION_AT = SOCKADDR_AT + 20;
/** Dumps of a table that keeps changing; the last one is taken as it is. */
const DUMP_ATTEMPTS = 10;
const NLMSGERR_ATTR_MSG = 1;
/** A guard answers in less than a millisecond, and starts in less than a hundred. */
const GUARD_TIMEOUT_MS = 2_000;

/** Used within one call only, by all sockets. */
const memory = allocate(BUFFER_LENGTH + 64);
/** Requests and answers of `Netlink.ask`; a body starts at NETLINK_HEADER_LENGTH. */
export const asked: DataView = memory.view;

export class Netlink {
  readonly fd: number;
  /** Where changes are asked for. */
  readonly #changes: number;
  #isGuardAwake: boolean;
  #sequence = 0;
  /** Whether the table changed under the last exchange. */
  #interrupted = false;

  /**
   * Takes over a descriptor, whichever network namespace it was made in.
   * @param guard the socket of a guard (runtime/guard.ts), which is to make changes; -1 for none
   */
  constructor(fd: number, guard = -1) {
    this.fd = fd;
    this.#changes = guard < 0 ? fd : guard;
    this.#isGuardAwake = guard < 0;
    // Linux before 4.20 and 4.12 lacks these; filters are then applied here, and errors have no text.
    this.#setOption(NETLINK_GET_STRICT_CHK, 1);
    this.#setOption(NETLINK_EXT_ACK, 1);
  }

  /** A socket in the namespace this thread is in. Throws SysError. */
  static open(protocol: number = NETLINK_ROUTE): Netlink {
    return Netlink.bind(check(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), "socket", "netlink"));
  }

  /** Takes over a new descriptor and gives it its port, without which multicasts do not arrive. Throws SysError. */
  static bind(fd: number): Netlink {
    const netlink = new Netlink(fd);
    writeKernelAddress();
    check(bind(netlink.fd, memory.address + SOCKADDR_AT, SOCKADDR_LENGTH), "bind", "netlink");
    return netlink;
  }

  /** Receives a multicast group (RTNLGRP_*) from now on. Throws SysError. */
  subscribe(group: number): void {
    check(this.#setOption(NETLINK_ADD_MEMBERSHIP, group), "setsockopt", `netlink group ${group}`);
  }

  /** Asks for a change, and gives the answers that precede the acknowledgement. Throws SysError. */
  request(type: number, flags: number, body: Uint8Array): NetlinkMessage[] {
    this.#wakeGuard();
    const answers: NetlinkMessage[] = [];
    const all = flags | NetlinkFlag.Request | NetlinkFlag.Ack;
    this.#exchange(this.#changes, type, all, body, (message) =>
      answers.push({ ...message, body: message.body.slice() }),
    );
    return answers;
  }

  /**
   * Sends the request whose body of `length` bytes is in `asked`, and leaves its only answer there. Allocates nothing.
   * Returns where the answer's body ends, or -errno.
   */
  ask(type: number, length: number): number {
    const end = NETLINK_HEADER_LENGTH + length;
    this.#sequence = (this.#sequence + 1) >>> 0;
    writeNetlinkHeader(asked, end, type, NetlinkFlag.Request, this.#sequence, 0);
    const sent = send(this.fd, end);
    if (sent < 0) return sent;
    for (;;) {
      const size = receive(this.fd);
      if (size < 0) return size;
      const isAnswer = size > NETLINK_HEADER_LENGTH && netlinkSequence(asked, 0) === this.#sequence;
      if (!isAnswer) continue;
      if (netlinkType(asked, 0) !== NetlinkType.Error) return Math.min(size, netlinkLength(asked, 0));
      return asked.getInt32(NETLINK_HEADER_LENGTH, LITTLE_ENDIAN) || -EAGAIN;
    }
  }

  /**
   * A whole table, asked again while it changes under the dump. Throws SysError.
   * @param decode gets bodies that are good within the call; what it does not know is left out
   */
  dump<T>(type: number, body: Uint8Array, decode: (body: Uint8Array) => T | undefined): T[] {
    for (let attempt = 1; ; attempt++) {
      const table: T[] = [];
      this.#exchange(this.fd, type, NetlinkFlag.Request | NetlinkFlag.Dump, body, (message) => {
        const decoded = decode(message.body);
        if (decoded !== undefined) table.push(decoded);
      });
      if (!this.#interrupted || attempt === DUMP_ATTEMPTS) return table;
    }
  }

  /**
   * Hands out everything that multicasts have queued, with bodies that are good within the call. "resync" says that
   * messages were lost: the tables must be dumped again. Throws SysError when the socket is of no more use.
   */
  drain(handle: (message: NetlinkMessage) => void): "complete" | "resync" {
    let outcome: "complete" | "resync" = "complete";
    for (;;) {
      const length = receive(this.fd);
      if (length === -EAGAIN) return outcome;
      if (length === -ENOBUFS || length > BUFFER_LENGTH) {
        outcome = "resync";
        continue;
      }
      check(length, "recvfrom", "netlink");
      forEachNetlinkMessage(received(length), (message) => {
        if (message.type === NetlinkType.Overrun) outcome = "resync";
        else handle(message);
      });
    }
  }

  /** Takes everything that multicasts have queued. Throws SysError when the socket is of no more use. */
  discard(): void {
    for (;;) {
      const length = receive(this.fd);
      if (length === -EAGAIN) return;
      if (length !== -ENOBUFS) check(length, "recvfrom", "netlink");
    }
  }

  close(): void {
    check(close(this.fd), "close", "netlink");
  }

  /** Up to then it is a shell that waits for a line. */
  #wakeGuard(): void {
    if (this.#isGuardAwake) return;
    memory.view.setUint8(0, "\n".charCodeAt(0));
    check(send(this.#changes, 1), "sendto", "guard");
    this.#isGuardAwake = true;
  }

  /** Hands out the answers that precede the acknowledgement or the end of the dump. */
  #exchange(
    fd: number,
    type: number,
    flags: number,
    body: Uint8Array,
    handle: (message: NetlinkMessage) => void,
  ): void {
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    sendMessage(fd, encodeNetlinkMessage({ type, flags, sequence, port: 0, body }));
    this.#interrupted = false;
    let isOver = false;
    for (;;) {
      const length = check(receiveAnswer(fd), "recvfrom", "netlink");
      forEachNetlinkMessage(received(length), (message) => {
        // Whatever is left of an exchange that failed half-way is not for us.
        if (isOver || message.sequence !== sequence) return;
        if ((message.flags & NetlinkFlag.DumpInterrupted) !== 0) this.#interrupted = true;
        isOver = message.type === NetlinkType.Error || message.type === NetlinkType.Done;
        if (isOver) checkResult(message, type);
        else handle(message);
      });
      if (isOver) return;
    }
  }

  #setOption(name: number, value: number): number {
    memory.view.setInt32(OPTION_AT, value, LITTLE_ENDIAN);
    return setsockopt(this.fd, SOL_NETLINK, name, memory.address + OPTION_AT, 4);
  }
}

/**
 * Connects a netlink socket to the kernel. It then takes nothing from programs; those of a container could have the
 * privilege to send. Throws SysError.
 */
export function connectToKernel(fd: number): void {
  writeKernelAddress();
  check(connect(fd, memory.address + SOCKADDR_AT, SOCKADDR_LENGTH), "connect", "netlink");
}

/** Leaves the address of the kernel in `memory`; bound to it, a socket gets a number from the kernel. */
function writeKernelAddress(): void {
  memory.bytes.fill(0, SOCKADDR_AT, SOCKADDR_AT + SOCKADDR_LENGTH);
  memory.view.setUint16(SOCKADDR_AT, AF_NETLINK, LITTLE_ENDIAN);
}

/** The first bytes of `memory`: how many were sent, or a negative errno. */
function send(fd: number, length: number): number {
  let sent = -EINTR;
  while (sent === -EINTR) sent = sendto(fd, memory.address, length, 0, 0, 0);
  return sent;
}

function sendMessage(fd: number, bytes: Uint8Array): void {
  if (bytes.length > BUFFER_LENGTH) throw new RangeError(`netlink request of ${bytes.length} bytes`);
  memory.bytes.set(bytes);
  check(send(fd, bytes.length), "sendto", "netlink");
}

/** As `receive` does. */
function receiveAnswer(fd: number): number {
  let length = receive(fd);
  if (length === -EAGAIN && isReadable(fd, GUARD_TIMEOUT_MS)) length = receive(fd);
  // Nobody is at the other end of a guard's socket.
  return length === 0 ? -EPIPE : length;
}

/** One datagram into `memory`: its length, which may exceed the buffer, or a negative errno. */
function receive(fd: number): number {
  for (;;) {
    memory.view.setInt32(LENGTH_AT, SOCKADDR_LENGTH, LITTLE_ENDIAN);
    // A guard's socket has no address.
    memory.view.setUint32(SOCKADDR_PORT_AT, 0, LITTLE_ENDIAN);
    const flags = MSG_DONTWAIT | MSG_TRUNC;
    const from = memory.address + SOCKADDR_AT;
    const length = recvfrom(fd, memory.address, BUFFER_LENGTH, flags, from, memory.address + LENGTH_AT);
    if (length === -EINTR) continue;
    // Other processes of the namespace may write to us as well; only the kernel has port 0.
    if (length < 0 || memory.view.getUint32(SOCKADDR_PORT_AT, LITTLE_ENDIAN) === 0) return length;
  }
}

const received = (length: number): Uint8Array => memory.bytes.subarray(0, Math.min(length, BUFFER_LENGTH));

/** Throws SysError when an acknowledgement, or the end of a dump, carries an error. */
function checkResult(message: NetlinkMessage, type: number): void {
  const body = message.body;
  const result = body.length < 4 ? 0 : viewOf(body).getInt32(0, LITTLE_ENDIAN);
  if (result >= 0) return;
  throw new SysError("netlink", -result, errnoName(result), `request ${type}${explanation(message)}`);
}

/** The kernel's own words about an error (NETLINK_EXT_ACK), behind the request unless that was left out. */
function explanation({ type, flags, body }: NetlinkMessage): string {
  if ((flags & NetlinkFlag.AckAttributes) === 0) return "";
  let at = 4;
  if (type === NetlinkType.Error && body.length >= 4 + NETLINK_HEADER_LENGTH) {
    const capped = (flags & NetlinkFlag.Capped) !== 0;
    at += capped ? NETLINK_HEADER_LENGTH : (viewOf(body).getUint32(4, LITTLE_ENDIAN) + 3) & ~3;
  }
  const text = attributeText(decodeAttributes(body, at), NLMSGERR_ATTR_MSG);
  return text === undefined ? "" : ` (${text})`;
}
