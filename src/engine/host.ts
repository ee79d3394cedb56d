/** The system as protocols see it: the production implementation of `Host` (proto/host.ts) over kernel objects. */
import { ipv4Words, isIpv4, isUnspecified } from "../base/address.ts";
import type { Arena } from "../base/arena.ts";
import * as c from "../ffi/constants.ts";
import { close, madvise, read, write } from "../ffi/libc.ts";
import { recv, shutdown } from "../ffi/libc-socket.ts";
import {
  endpointPort,
  oursPort,
  packPorts,
  sideProtocol,
  SideWord,
  TARGET,
  sidePif,
  wordsOf,
  type FlowIndex,
  type FlowTable,
  type SideIndex,
} from "../flow/table.ts";
import { Pif } from "../flow/state.ts";
import type { Epoll } from "../kernel/epoll.ts";
import { ErrorQueue } from "../kernel/error-queue.ts";
import { Messages } from "../kernel/messages.ts";
import { findMac, findNexthop } from "../kernel/neighbours.ts";
import type { Netlink } from "../kernel/netlink.ts";
import { Peek } from "../kernel/peek.ts";
import { Pipes } from "../kernel/pipes.ts";
import { belowLimit } from "../kernel/process.ts";
import * as socket from "../kernel/socket.ts";
import type { Fd, Host, Pipe, SocketError } from "../proto/host.ts";
import { VNET_LENGTH } from "../wire/vnet.ts";
import type { Capture } from "./capture.ts";
import type { Inside } from "./inside.ts";

export interface HostOptions {
  /** Memory that frames and payload live in; allocated by ffi/memory.ts. */
  arena: Arena;
  tapFd: number;
  table: FlowTable;
  epoll: Epoll;
  /** Kind of the epoll events of flows; their index is the side. */
  flowKind: number;
  /** Arena offset of ERROR_PAYLOAD_LENGTH bytes (kernel/error-queue.ts) that belong to the host. */
  errorAt: number;
  /** Interface index that goes with link-local IPv6 addresses of the host, or 0. */
  scope: number;
  /** The same in the container's network namespace. */
  insideScope?: number;
  /** False to do without SO_PEEK_OFF. */
  peekOffset: boolean;
  /** Sockets have descriptors below this; the rest is for the engine itself. */
  fdLimit?: number;
  /** Sockets in the container's network namespace; without it there are none. */
  inside?: Inside | undefined;
  /** rtnetlink of the host, for questions; without it nobody outside has a MAC address. */
  netlink?: Netlink | undefined;
  /** Gets every frame of the TAP. */
  capture?: Capture | undefined;
}

/** A page of memory, the unit of `release`. */
const PAGE = 4096;
const STREAM_EVENTS = c.EPOLLIN | c.EPOLLPRI | c.EPOLLOUT | c.EPOLLRDHUP | c.EPOLLET;
/** Not EPOLLOUT: a datagram socket would report it after every datagram that leaves. */
const DATAGRAM_EVENTS = c.EPOLLIN | c.EPOLLET;

const ANY_IPV4 = ipv4Words(0);
const ANY_IPV6 = new Uint32Array(4);
/** An address that nobody needs. */
const LOCAL = new Uint32Array(4);

export class KernelHost implements Host {
  readonly arena: Arena;
  /** Set by the loop at the start of every batch. */
  nowMs = 0;
  /** Changes when the template interface does. */
  scope: number;
  readonly error: SocketError;
  readonly #insideScope: number;
  readonly peekOffset4: boolean;
  readonly peekOffset6: boolean;
  readonly #tapFd: number;
  readonly #netlink: Netlink | undefined;
  readonly #capture: Capture | undefined;
  readonly #table: FlowTable;
  readonly #epoll: Epoll;
  readonly #flowKind: number;
  readonly #fdLimit: number;
  readonly #isPaced = socket.isPacedByDefault();
  readonly #inside: Inside | undefined;
  readonly #pipes: Pipes;
  readonly #messages: Messages;
  readonly #errors: ErrorQueue;
  readonly #peek: Peek;
  /** Local ports of unconnected sockets that have received something, by descriptor; 0: not asked for yet. */
  #localPorts: Uint16Array = new Uint16Array(1024);

  constructor(options: HostOptions) {
    this.arena = options.arena;
    this.scope = options.scope;
    this.#insideScope = options.insideScope ?? 0;
    this.#inside = options.inside;
    this.#tapFd = options.tapFd;
    this.#netlink = options.netlink;
    this.#capture = options.capture;
    this.#table = options.table;
    this.#epoll = options.epoll;
    this.#flowKind = options.flowKind;
    this.#fdLimit = options.fdLimit ?? Infinity;
    this.#pipes = new Pipes(this.#fdLimit);
    this.#messages = new Messages(options.arena);
    this.#errors = new ErrorQueue(options.arena, options.errorAt);
    this.#peek = new Peek(options.arena, options.peekOffset);
    this.error = this.#errors.error;
    this.peekOffset4 = this.#peek.peekOffset4;
    this.peekOffset6 = this.#peek.peekOffset6;
  }

  tapWrite(at: number, length: number): number {
    const address = this.arena.address + at;
    const written = write(this.#tapFd, address, length);
    if (written >= 0) this.#capture?.frame(address + VNET_LENGTH, length - VNET_LENGTH);
    return written;
  }
  /** Reads one frame, at most `length` bytes: as much as `tapWrite` takes, or -errno. */
  tapRead(at: number, length: number): number {
    const address = this.arena.address + at;
    const received = read(this.#tapFd, address, length);
    if (received >= VNET_LENGTH) this.#capture?.frame(address + VNET_LENGTH, received - VNET_LENGTH);
    return received;
  }

  openTcp(v6: boolean, pif: Pif): Fd {
    if (pif === Pif.Splice) return this.#limited(this.#takeInside(v6, c.IPPROTO_TCP));
    const fd = this.#limited(socket.openTcp(v6));
    if (fd >= 0) this.#peek.start(fd);
    return fd;
  }
  openUdp(v6: boolean, pif: Pif): Fd {
    if (pif === Pif.Splice) return this.#limited(this.#takeInside(v6, c.IPPROTO_UDP));
    return this.#limited(socket.openUdp(v6));
  }
  openPing(v6: boolean): Fd {
    return this.#limited(socket.openPing(v6));
  }

  #takeInside(v6: boolean, protocol: number): Fd {
    return this.#inside === undefined ? -c.EPERM : this.#inside.take(v6, protocol);
  }

  #limited(fd: Fd): Fd {
    return belowLimit(fd, this.#fdLimit);
  }

  accept(listener: Fd): Fd {
    const { key } = this.#table;
    const accepted = socket.accept(listener, key, SideWord.Endpoint);
    // Then the client still waits.
    if (accepted === -c.EMFILE) return -c.ENFILE;
    const fd = this.#limited(accepted);
    if (fd < 0) return fd;
    const port = socket.localAddress(fd, key, SideWord.Ours);
    key[SideWord.Ports] = packPorts(port, key[SideWord.Ports]);
    return fd;
  }
  preparePeek(fd: Fd): void {
    this.#peek.start(fd);
  }

  bind(fd: Fd, flow: FlowIndex): number {
    const { sides } = this.#table;
    const words = wordsOf((flow << 1) | TARGET);
    const ours = words + SideWord.Ours;
    const port = oursPort(sides, words);
    const scope = this.#scopeOf(words);
    if (!isUnspecified(sides, ours)) return socket.bind(fd, sides, ours, port, scope);
    if (port === 0) return 0;
    const any = isIpv4(sides, words + SideWord.Endpoint) ? ANY_IPV4 : ANY_IPV6;
    return socket.bind(fd, any, 0, port, scope);
  }
  bindToDevice(fd: Fd, name: string): number {
    return socket.bindToDevice(fd, name);
  }
  connect(fd: Fd, flow: FlowIndex): number {
    const { sides } = this.#table;
    const words = wordsOf((flow << 1) | TARGET);
    const port = isPing(sideProtocol(sides, words)) ? 0 : endpointPort(sides, words);
    return socket.connect(fd, sides, words + SideWord.Endpoint, port, this.#scopeOf(words));
  }
  /** The interface index for link-local addresses of the side whose words start at `words`. */
  #scopeOf(words: number): number {
    return sidePif(this.#table.sides, words) === Pif.Splice ? this.#insideScope : this.scope;
  }
  readLocal(fd: Fd, flow: FlowIndex): number {
    const { sides } = this.#table;
    const words = wordsOf((flow << 1) | TARGET);
    const port = socket.localAddress(fd, sides, words + SideWord.Ours);
    if (port < 0) return port;
    sides[words + SideWord.Ports] = packPorts(port, endpointPort(sides, words));
    return 0;
  }
  watch(fd: Fd, side: SideIndex): number {
    const protocol = sideProtocol(this.#table.sides, wordsOf(side));
    const events = protocol === c.IPPROTO_TCP ? STREAM_EVENTS : DATAGRAM_EVENTS;
    return this.#epoll.add(fd, events, this.#flowKind, side);
  }
  close(fd: Fd): void {
    if (fd < this.#localPorts.length) this.#localPorts[fd] = 0;
    close(fd);
  }
  closeReset(fd: Fd): void {
    socket.closeReset(fd);
  }

  part(index: number, at: number, length: number): void {
    this.#messages.part(index, at, length);
  }
  send(fd: Fd, parts: number): number {
    return this.#messages.send(fd, parts);
  }
  sendTrain(fd: Fd, parts: number, segment: number): number {
    return this.#messages.sendTrain(fd, parts, segment);
  }
  read(fd: Fd, at: number, length: number): number {
    return recv(fd, this.arena.address + at, length, c.MSG_DONTWAIT);
  }
  peek(fd: Fd, at: number, length: number): number {
    return this.#peek.read(fd, at, length);
  }
  setPeekOffset(fd: Fd, offset: number): number {
    return this.#peek.seek(fd, offset);
  }
  discard(fd: Fd, length: number): number {
    return this.#peek.discard(fd, length);
  }
  receive(fd: Fd, at: number, length: number): number {
    return this.#messages.receive(fd, at, length);
  }
  get receivedSegment(): number {
    return this.#messages.receivedSegment;
  }
  receiveFrom(fd: Fd, at: number, length: number): number {
    const { key } = this.#table;
    const result = this.#messages.receiveFrom(fd, at, length, key, SideWord.Ours, SideWord.Endpoint);
    if (result >= 0) key[SideWord.Ports] = packPorts(this.#localPort(fd), key[SideWord.Ports]);
    return result;
  }
  sendFrom(fd: Fd, parts: number, segment: number, side: SideIndex): number {
    const { sides } = this.#table;
    const words = wordsOf(side);
    const port = endpointPort(sides, words);
    const scope = this.#scopeOf(words);
    this.#messages.setAddresses(sides, words + SideWord.Ours, words + SideWord.Endpoint, port, scope);
    return this.#messages.sendFrom(fd, parts, segment);
  }
  readError(fd: Fd): number {
    const { key } = this.#table;
    const result = this.#errors.read(fd, key, SideWord.Ours, SideWord.Endpoint);
    if (result > 0) key[SideWord.Ports] = packPorts(this.#localPort(fd), key[SideWord.Ports]);
    return result;
  }
  #localPort(fd: Fd): number {
    if (fd >= this.#localPorts.length) {
      const grown = new Uint16Array(Math.max(fd + 1, this.#localPorts.length * 2));
      grown.set(this.#localPorts);
      this.#localPorts = grown;
    }
    this.#localPorts[fd] ||= Math.max(socket.localAddress(fd, LOCAL, 0), 0);
    return this.#localPorts[fd];
  }
  takeError(fd: Fd): number {
    return socket.getOption(fd, c.SOL_SOCKET, c.SO_ERROR);
  }

  shutdownWrite(fd: Fd): number {
    // The stream is complete from here on, and may be closed before the kernel has sent the last of it.
    socket.setResetOnClose(fd, false);
    return shutdown(fd, c.SHUT_WR);
  }
  setMaxSegment(fd: Fd, bytes: number): number {
    return socket.setOption(fd, c.IPPROTO_TCP, c.TCP_MAXSEG, bytes);
  }
  setKeepAlive(fd: Fd): number {
    return socket.setOption(fd, c.SOL_SOCKET, c.SO_KEEPALIVE, 1);
  }
  setLocal(fd: Fd): number {
    return this.#isPaced ? socket.setLocal(fd) : 0;
  }
  setHopLimit(fd: Fd, v6: boolean, hops: number): number {
    // What goes to groups has a limit of its own, 1 by default.
    if (v6) {
      socket.setOption(fd, c.IPPROTO_IPV6, c.IPV6_MULTICAST_HOPS, hops);
      return socket.setOption(fd, c.IPPROTO_IPV6, c.IPV6_UNICAST_HOPS, hops);
    }
    socket.setOption(fd, c.IPPROTO_IP, c.IP_MULTICAST_TTL, hops);
    return socket.setOption(fd, c.IPPROTO_IP, c.IP_TTL, hops);
  }
  setDontFragment(fd: Fd, v6: boolean, on: boolean): number {
    const value = on ? c.IP_PMTUDISC_DO : c.IP_PMTUDISC_DONT;
    return v6
      ? socket.setOption(fd, c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER, value)
      : socket.setOption(fd, c.IPPROTO_IP, c.IP_MTU_DISCOVER, value);
  }
  setBroadcast(fd: Fd): number {
    return socket.setOption(fd, c.SOL_SOCKET, c.SO_BROADCAST, 1);
  }
  takePipe(): Pipe {
    return this.#pipes.take();
  }
  givePipe(pipe: Pipe, isEmpty: boolean): void {
    this.#pipes.give(pipe, isEmpty);
  }
  fillPipe(pipe: Pipe, fd: Fd): number {
    return this.#pipes.fill(pipe, fd);
  }
  drainPipe(pipe: Pipe, fd: Fd, length: number): number {
    return this.#pipes.drain(pipe, fd, length);
  }
  writePipe(pipe: Pipe, at: number, length: number): void {
    this.#pipes.write(pipe, this.arena.address + at, length);
  }
  findNexthop(words: Uint32Array, at: number, interfaceIndex: number, hop: Uint32Array): boolean {
    return this.#netlink !== undefined && findNexthop(this.#netlink, words, at, interfaceIndex, hop);
  }
  findMac(words: Uint32Array, at: number, interfaceIndex: number, mac: Uint8Array): boolean {
    return this.#netlink !== undefined && findMac(this.#netlink, words, at, interfaceIndex, mac);
  }
  release(at: number, length: number): void {
    const first = Math.ceil((this.arena.address + at) / PAGE) * PAGE;
    const end = Math.floor((this.arena.address + at + length) / PAGE) * PAGE;
    if (end > first) madvise(first, end - first, c.MADV_DONTNEED);
  }
}

const isPing = (protocol: number): boolean => protocol === c.IPPROTO_ICMP || protocol === c.IPPROTO_ICMPV6;
