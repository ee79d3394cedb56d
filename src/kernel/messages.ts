/**
 * Sending from and receiving into several places at once: the parts, the UDP trains, and the pinned structures
 * that describe them to the kernel. Results are non-negative or a negative errno; nothing waits or allocates.
 */
import type { Arena } from "../base/arena.ts";
import * as c from "../ffi/constants.ts";
import * as libc from "../ffi/libc-socket.ts";
import { allocate, setWord } from "../ffi/memory.ts";
import { cmsghdr, iovec, msghdr } from "../ffi/structs.ts";

/** Most parts of one message. @see UIO_MAXIOV in linux/uio.h */
export const MAX_PARTS = 1024;

/** Offsets in our own memory. */
const SEND = 0;
const TRAIN = 64;
const RECEIVE = 128;
const TRAIN_CONTROL = 192;
const RECEIVE_IOVEC = 224;
const RECEIVE_CONTROL = 256;
const IOVECS = 512;

const TRAIN_CONTROL_LENGTH = 24;
const RECEIVE_CONTROL_LENGTH = 128;
const SEND_FLAGS = c.MSG_DONTWAIT | c.MSG_NOSIGNAL;

/** The same as indexes of 32-bit words. */
const SEND_COUNT = (SEND + msghdr.iovecCount) / 4;
const TRAIN_COUNT = (TRAIN + msghdr.iovecCount) / 4;
const TRAIN_SEGMENT = (TRAIN_CONTROL + cmsghdr.size) / 4;
const RECEIVE_CONTROL_WORD = RECEIVE_CONTROL / 4;
const RECEIVED_CONTROL = (RECEIVE + msghdr.controlLength) / 4;
const LEVEL = cmsghdr.level / 4;
const TYPE = cmsghdr.type / 4;
const DATA = cmsghdr.size / 4;

export class Messages {
  /** Size of each datagram of the train that `receive` returned last; 0 for a single datagram. */
  receivedSegment = 0;
  readonly #arena: number;
  readonly #own: number;
  readonly #words: Uint32Array;
  #firstAt = 0;
  #firstLength = 0;

  constructor(arena: Arena) {
    this.#arena = arena.address;
    const { address, bytes, view } = allocate(IOVECS + MAX_PARTS * iovec.size);
    this.#own = address;
    this.#words = new Uint32Array(bytes.buffer);
    for (const header of [SEND, TRAIN]) setWord(view, header + msghdr.iovecs, address + IOVECS);
    setWord(view, TRAIN + msghdr.control, address + TRAIN_CONTROL);
    setWord(view, TRAIN + msghdr.controlLength, TRAIN_CONTROL_LENGTH);
    setWord(view, TRAIN_CONTROL + cmsghdr.length, cmsghdr.size + 2);
    view.setUint32(TRAIN_CONTROL + cmsghdr.level, c.IPPROTO_UDP, true);
    view.setUint32(TRAIN_CONTROL + cmsghdr.type, c.UDP_SEGMENT, true);
    setWord(view, RECEIVE + msghdr.iovecs, address + RECEIVE_IOVEC);
    setWord(view, RECEIVE + msghdr.iovecCount, 1);
    setWord(view, RECEIVE + msghdr.control, address + RECEIVE_CONTROL);
  }

  /** Sets part `index`, below MAX_PARTS, of the next message. */
  part(index: number, at: number, length: number): void {
    if (index === 0) {
      this.#firstAt = at;
      this.#firstLength = length;
    }
    this.#setIovec((IOVECS + index * iovec.size) / 4, at, length);
  }

  /** Sends the first `parts` parts: bytes taken. */
  send(fd: number, parts: number): number {
    if (parts === 1) return libc.send(fd, this.#arena + this.#firstAt, this.#firstLength, SEND_FLAGS);
    this.#words[SEND_COUNT] = parts;
    return libc.sendmsg(fd, this.#own + SEND, SEND_FLAGS);
  }

  /** Sends the first `parts` parts as datagrams of `segment` bytes, the last may be shorter. See udp(7). */
  sendTrain(fd: number, parts: number, segment: number): number {
    this.#words[TRAIN_COUNT] = parts;
    this.#words[TRAIN_SEGMENT] = segment;
    return libc.sendmsg(fd, this.#own + TRAIN, SEND_FLAGS);
  }

  /** Receives one datagram or train, cut to `length` bytes: its size. */
  receive(fd: number, at: number, length: number): number {
    const words = this.#words;
    this.#setIovec(RECEIVE_IOVEC / 4, at, length);
    words[RECEIVED_CONTROL] = RECEIVE_CONTROL_LENGTH;
    const result = libc.recvmsg(fd, this.#own + RECEIVE, c.MSG_DONTWAIT);
    // UDP_GRO is the only control message that our sockets ask for.
    const train =
      result > 0 &&
      words[RECEIVED_CONTROL] >= cmsghdr.size + 4 &&
      words[RECEIVE_CONTROL_WORD + LEVEL] === c.IPPROTO_UDP &&
      words[RECEIVE_CONTROL_WORD + TYPE] === c.UDP_GRO;
    const segment = train ? words[RECEIVE_CONTROL_WORD + DATA] : 0;
    this.receivedSegment = segment < result ? segment : 0;
    return result;
  }

  #setIovec(word: number, at: number, length: number): void {
    const address = this.#arena + at;
    this.#words[word] = address;
    this.#words[word + 1] = address / 0x1_0000_0000;
    this.#words[word + 2] = length;
  }
}
