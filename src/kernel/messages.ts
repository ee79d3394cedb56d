/**
 * Sending from and receiving into several places at once: the parts, the UDP trains, and the pinned structures
 * that describe them to the kernel. Results are non-negative or a negative errno; nothing waits or allocates.
 */
import { isIpv4, isUnicast } from "../base/address.ts";
import type { Arena } from "../base/arena.ts";
import * as c from "../ffi/constants.ts";
import * as libc from "../ffi/libc-socket.ts";
import { allocate, setWord } from "../ffi/memory.ts";
import { cmsghdr, in6Pktinfo, inPktinfo, iovec, msghdr, sockaddrIn6 } from "../ffi/structs.ts";
import { isControl, nextControl, readDestination } from "./control-messages.ts";
import { needsScope, readSockaddr, writeSockaddr } from "./socket.ts";

/** Most parts of one message. @see UIO_MAXIOV in linux/uio.h */
export const MAX_PARTS = 1024;

/** Offsets in our own memory: headers, */
const SEND = 0;
const TRAIN = 64;
const SEND_FROM = 128;
const RECEIVE = 192;
const RECEIVE_FROM = 256;
/** and what they point to. */
const TRAIN_CONTROL = 320;
const SEND_NAME = 352;
const SEND_CONTROL = 384;
const RECEIVE_IOVEC = 448;
const RECEIVE_NAME = 480;
const RECEIVE_CONTROL = 512;
const IOVECS = 640;

const RECEIVE_CONTROL_LENGTH = IOVECS - RECEIVE_CONTROL;
const SEND_FLAGS = c.MSG_DONTWAIT | c.MSG_NOSIGNAL;
/** UDP_SEGMENT has 16 bits; what a message takes is a multiple of 8. */
const SEGMENT_CONTROL_LENGTH = cmsghdr.size + 8;

/** The same as indexes of 32-bit words. */
const SEND_COUNT = (SEND + msghdr.iovecCount) / 4;
const TRAIN_COUNT = (TRAIN + msghdr.iovecCount) / 4;
const TRAIN_SEGMENT = (TRAIN_CONTROL + cmsghdr.size) / 4;
const SEND_FROM_COUNT = (SEND_FROM + msghdr.iovecCount) / 4;
const SEND_NAME_LENGTH = (SEND_FROM + msghdr.nameLength) / 4;
const SEND_CONTROL_LENGTH = (SEND_FROM + msghdr.controlLength) / 4;
const RECEIVE_CONTROL_WORD = RECEIVE_CONTROL / 4;
const RECEIVED_CONTROL = (RECEIVE + msghdr.controlLength) / 4;
const RECEIVED_FROM_NAME = (RECEIVE_FROM + msghdr.nameLength) / 4;
const RECEIVED_FROM_CONTROL = (RECEIVE_FROM + msghdr.controlLength) / 4;
const LEVEL = cmsghdr.level / 4;
const TYPE = cmsghdr.type / 4;
const DATA = cmsghdr.size / 4;

export class Messages {
  /** Size of each datagram of the train that came last; 0 for a single datagram. */
  receivedSegment = 0;
  readonly #arena: number;
  readonly #own: number;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  #firstAt = 0;
  #firstLength = 0;
  /** Where the control messages of `sendFrom` end that `setAddresses` left. */
  #sourceEnd = SEND_CONTROL;

  constructor(arena: Arena) {
    this.#arena = arena.address;
    const { address, bytes, view } = allocate(IOVECS + MAX_PARTS * iovec.size);
    this.#own = address;
    this.#view = view;
    this.#words = new Uint32Array(bytes.buffer);
    for (const header of [SEND, TRAIN, SEND_FROM]) setWord(view, header + msghdr.iovecs, address + IOVECS);
    setWord(view, TRAIN + msghdr.control, address + TRAIN_CONTROL);
    setWord(view, TRAIN + msghdr.controlLength, SEGMENT_CONTROL_LENGTH);
    putSegment(view, TRAIN_CONTROL, 0);
    setWord(view, SEND_FROM + msghdr.name, address + SEND_NAME);
    setWord(view, SEND_FROM + msghdr.control, address + SEND_CONTROL);
    for (const header of [RECEIVE, RECEIVE_FROM]) {
      setWord(view, header + msghdr.iovecs, address + RECEIVE_IOVEC);
      setWord(view, header + msghdr.iovecCount, 1);
      setWord(view, header + msghdr.control, address + RECEIVE_CONTROL);
    }
    setWord(view, RECEIVE_FROM + msghdr.name, address + RECEIVE_NAME);
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

  /**
   * Sets where the next `sendFrom` sends to, and the address it comes from: one that is not unicast leaves that to the
   * kernel. Indexes are those of the addresses in `words`.
   * @param scope interface index for link-local addresses, or 0
   */
  setAddresses(words: Uint32Array, source: number, target: number, port: number, scope: number): void {
    const view = this.#view;
    this.#words[SEND_NAME_LENGTH] = writeSockaddr(view, SEND_NAME, words, target, port, scope);
    this.#sourceEnd = isUnicast(words, source)
      ? putSource(view, SEND_CONTROL, words, source, scope)
      : SEND_CONTROL;
  }

  /** Sends the first `parts` parts on an unconnected socket, as a train unless `segment` is 0: bytes taken. */
  sendFrom(fd: number, parts: number, segment: number): number {
    let end = this.#sourceEnd;
    if (segment > 0) end = putSegment(this.#view, end, segment);
    this.#words[SEND_FROM_COUNT] = parts;
    this.#words[SEND_CONTROL_LENGTH] = end - SEND_CONTROL;
    return libc.sendmsg(fd, this.#own + SEND_FROM, SEND_FLAGS);
  }

  /** Receives one datagram or train, cut to `length` bytes: its size. */
  receive(fd: number, at: number, length: number): number {
    const words = this.#words;
    this.#setIovec(RECEIVE_IOVEC / 4, at, length);
    words[RECEIVED_CONTROL] = RECEIVE_CONTROL_LENGTH;
    const result = libc.recvmsg(fd, this.#own + RECEIVE, c.MSG_DONTWAIT);
    // UDP_GRO is the first control message, and the only one on connected sockets of ours.
    const train =
      result > 0 &&
      words[RECEIVED_CONTROL] >= cmsghdr.size + 4 &&
      words[RECEIVE_CONTROL_WORD + LEVEL] === c.IPPROTO_UDP &&
      words[RECEIVE_CONTROL_WORD + TYPE] === c.UDP_GRO;
    const segment = train ? words[RECEIVE_CONTROL_WORD + DATA] : 0;
    this.receivedSegment = segment < result ? segment : 0;
    return result;
  }

  /**
   * The same on an unconnected socket with IP_PKTINFO or IPV6_RECVPKTINFO: stores the address it was sent to at
   * `words[destination]`, the sender's at `words[sender]`, and the sender's port in the word behind that.
   */
  receiveFrom(
    fd: number,
    at: number,
    length: number,
    words: Uint32Array,
    destination: number,
    sender: number,
  ): number {
    const view = this.#view;
    this.#setIovec(RECEIVE_IOVEC / 4, at, length);
    this.#words[RECEIVED_FROM_NAME] = sockaddrIn6.size;
    this.#words[RECEIVED_FROM_CONTROL] = RECEIVE_CONTROL_LENGTH;
    const result = libc.recvmsg(fd, this.#own + RECEIVE_FROM, c.MSG_DONTWAIT);
    if (result < 0) return result;
    words[sender + 4] = readSockaddr(view, RECEIVE_NAME, words, sender);
    words.fill(0, destination, destination + 4);
    let segment = 0;
    const end = RECEIVE_CONTROL + this.#words[RECEIVED_FROM_CONTROL];
    for (let i = RECEIVE_CONTROL; i + cmsghdr.size < end; i = nextControl(view, i)) {
      if (isControl(view, i, c.IPPROTO_UDP, c.UDP_GRO)) segment = view.getUint32(i + cmsghdr.size, true);
      else readDestination(view, i, words, destination, true);
    }
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

/** Writes a control message that asks for datagrams of `segment` bytes, and tells where it ends. */
function putSegment(view: DataView, at: number, segment: number): number {
  putHeader(view, at, 2, c.IPPROTO_UDP, c.UDP_SEGMENT);
  view.setUint32(at + cmsghdr.size, segment, true);
  return at + SEGMENT_CONTROL_LENGTH;
}

/** Writes a control message that sets the source address, and tells where it ends. */
function putSource(view: DataView, at: number, words: Uint32Array, source: number, scope: number): number {
  const data = at + cmsghdr.size;
  if (isIpv4(words, source)) {
    putHeader(view, at, inPktinfo.size, c.IPPROTO_IP, c.IP_PKTINFO);
    view.setUint32(data + inPktinfo.index, 0, true);
    view.setUint32(data + inPktinfo.local, words[source + 3]);
    return data + 16;
  }
  putHeader(view, at, in6Pktinfo.size, c.IPPROTO_IPV6, c.IPV6_PKTINFO);
  for (let i = 0; i < 4; i++) view.setUint32(data + in6Pktinfo.address + 4 * i, words[source + i]);
  view.setUint32(data + in6Pktinfo.index, needsScope(words, source) ? scope : 0, true);
  return data + 24;
}

function putHeader(view: DataView, at: number, dataLength: number, level: number, type: number): void {
  setWord(view, at + cmsghdr.length, cmsghdr.size + dataLength);
  view.setUint32(at + cmsghdr.level, level, true);
  view.setUint32(at + cmsghdr.type, type, true);
}
