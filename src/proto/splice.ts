/**
 * TCP between the two loopbacks, past the TAP: what one socket of a flow receives goes into a pipe, and out of it into
 * the other socket, without a copy (splice(2)).
 *
 * A direction is named by the side its bytes come from. Its pipe is taken when there are bytes to move and given back
 * as soon as it is empty, so a direction that has a pipe is one whose receiver does not take more: it waits for
 * EPOLLOUT of that socket, and reads nothing meanwhile. An idle connection costs two descriptors.
 *
 * Events only mark what may be tried; `#turn` tries it, and `#settle` alone decides, from the state that is left, what
 * ends. So the order of events, and events that are out of date, do not matter.
 *
 * Pipes need descriptors, and receivers that take nothing keep theirs. Without one, bytes are looked at, sent, and only
 * then taken from their socket, as far as they have left: slower, but nobody waits for somebody else's receiver.
 *
 * Small amounts are copied, which costs less than handing them over; a stream that gives a full page is spliced from then
 * on. What splice(2) says of an end or before urgent data (SO_OOBINLINE; tcp_read_sock() in net/ipv4/tcp.c) is not
 * believed: it stops before an urgent byte for ever, with -EAGAIN or as if the stream had ended. recv(2) decides.
 */
import { Count } from "../base/counters.ts";
import { FlowState, FlowType, Pif } from "../flow/state.ts";
import { FlowQueue } from "../flow/queue.ts";
import {
  isMapped,
  NO_FLOW,
  sidePif,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
  type SideIndex,
} from "../flow/table.ts";
import { RateLimit } from "../log/rate-limit.ts";
import type { Fd, Pipe } from "./host.ts";
import { EpollEvent, Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import type { FlowHandler } from "./stack.ts";

/** State of one side's socket. */
const SideFlag = {
  /** The socket does not exist yet, or its connect has not ended. Of the target side only. */
  Connecting: 1 << 0,
  /** There may be something to receive, an end or an error. */
  Readable: 1 << 1,
  /** Its peer has ended its stream, broken off or sent urgent data: a short read need not be the last one. */
  Hangup: 1 << 2,
  /** Everything was received, and then the end of the stream. */
  Ended: 1 << 3,
  /** The other side's end was passed on to it. */
  Shut: 1 << 4,
  /** It was reset or has failed: it takes nothing more, but what it received before may still be there. */
  Broken: 1 << 5,
  /** It took less than it was offered; EPOLLOUT will tell when there is room. */
  Full: 1 << 6,
  /** It gives much at a time, as far as is known. */
  Bulk: 1 << 7,
} as const;

/** What a direction may move in one turn, so that others get theirs. */
const TURN_BYTES = 1024 * 1024;
/** So much is copied at a time: a page, for which every pipe has room. */
const COPY_BYTES = 4096;
const NONE = -1;

export class Splice implements FlowHandler {
  readonly #net: Net;
  /* Columns by side. */
  /** Bits of SideFlag. */
  readonly #flags: Uint8Array;
  readonly #fds: Int32Array;
  /** The pipe with bytes from this side, or NONE. */
  readonly #pipes: Int32Array;
  /** Bytes in that pipe. */
  readonly #held: Int32Array;
  readonly #ready: FlowQueue;
  /** Flows for whose target there was no socket: IPv4, IPv6. */
  readonly #waiting: readonly [FlowQueue, FlowQueue];
  readonly #warnings = new RateLimit();

  constructor(net: Net) {
    const { capacity } = net.flows;
    this.#net = net;
    this.#flags = new Uint8Array(2 * capacity);
    this.#fds = new Int32Array(2 * capacity);
    this.#pipes = new Int32Array(2 * capacity);
    this.#held = new Int32Array(2 * capacity);
    this.#ready = new FlowQueue(capacity);
    this.#waiting = [new FlowQueue(capacity), new FlowQueue(capacity)];
  }

  /**
   * Takes over a flow in state TGT whose target is a socket of the host's or the container's network namespace, and
   * the connection `fd` that was accepted for it. It is reset when the target cannot be reached.
   */
  open(flow: FlowIndex, fd: Fd): void {
    const { flows, counters, host } = this.#net;
    const from = flow << 1;
    flows.setType(flow, FlowType.TcpSplice);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    this.#begin(from, fd, 0);
    this.#begin(from | TARGET, NONE, SideFlag.Connecting);
    host.setLocal(fd);
    if (host.watch(fd, from) < 0) this.#close(flow, true);
    else if (!this.#connect(flow)) this.#waiting[this.#isV6(flow) ? 1 : 0].add(flow);
  }

  /** There are sockets in the container's namespace again. */
  insideReady(): void {
    for (const queue of this.#waiting) {
      for (let flow = queue.first; flow !== NO_FLOW; flow = queue.first) {
        if (this.#isOpen(flow) && this.#fds[(flow << 1) | TARGET] === NONE && !this.#connect(flow)) break;
        queue.take();
      }
    }
  }

  socketEvent(side: SideIndex, events: number): void {
    const flags = this.#flags;
    const target = side | TARGET;
    if ((events & ~(EpollEvent.In | EpollEvent.Out)) !== 0) flags[side] |= SideFlag.Hangup;
    if ((events & EpollEvent.Error) !== 0) flags[side] |= SideFlag.Broken;
    if ((events & EpollEvent.Out) !== 0) flags[side] &= ~SideFlag.Full;
    if ((events & ~EpollEvent.Out) !== 0) flags[side] |= SideFlag.Readable;
    if ((flags[target] & SideFlag.Connecting) !== 0) {
      if (side !== target || (events & (EpollEvent.Out | EpollEvent.Error)) === 0) return;
      flags[target] &= ~SideFlag.Connecting;
      if ((events & EpollEvent.Error) !== 0) this.#net.counters.add(Count.dropConnectFailed);
    }
    this.#ready.add(side >> 1);
  }

  /** Gives every ready flow a turn. */
  service(): void {
    for (let left = this.#ready.length; left > 0; left--) {
      const flow = this.#ready.take();
      if (this.#isOpen(flow)) this.#turn(flow);
    }
  }

  get isBusy(): boolean {
    return this.#ready.length > 0;
  }

  /** These flows have no timers. */
  timer(): void {}

  /** Ends all connections; nobody shall take a cut stream for a complete one. */
  shutdown(): void {
    const { flows } = this.#net;
    flows.forEach((flow) => {
      if (flows.type[flow] === FlowType.TcpSplice) this.#close(flow, true);
    });
  }

  /** A row in a queue may have become that of another flow. */
  #isOpen(flow: FlowIndex): boolean {
    const { flows } = this.#net;
    return (
      flows.state[flow] === FlowState.Active &&
      flows.type[flow] === FlowType.TcpSplice &&
      flows.closed[flow] === 0
    );
  }

  #isV6(flow: FlowIndex): boolean {
    return !isMapped(this.#net.flows.sides, wordsOf((flow << 1) | TARGET) + SideWord.Endpoint);
  }

  #begin(side: SideIndex, fd: Fd, flags: number): void {
    this.#fds[side] = fd;
    this.#flags[side] = flags;
    this.#pipes[side] = NONE;
    this.#held[side] = 0;
  }

  /** Opens the target's socket and connects it; false when it has to wait for a socket. */
  #connect(flow: FlowIndex): boolean {
    const { flows, host, counters, log } = this.#net;
    const target = (flow << 1) | TARGET;
    const isInside = sidePif(flows.sides, wordsOf(target)) === Pif.Splice;
    const fd = host.openTcp(this.#isV6(flow), isInside ? Pif.Splice : Pif.Host);
    if (fd === -Errno.EAGAIN) return false;
    if (fd < 0) {
      counters.add(Count.dropSocketLimit);
      const message = "no further socket can be opened: connections are reset";
      this.#warnings.warn(log, host.nowMs, message, "errno", -fd);
      this.#close(flow, true);
      return true;
    }
    this.#fds[target] = fd;
    host.setLocal(fd);
    let result = host.watch(fd, target);
    if (result >= 0) result = host.connect(fd, flow);
    if (result >= 0) {
      this.#flags[target] &= ~SideFlag.Connecting;
      this.#ready.add(flow);
    } else if (result !== -Errno.EINPROGRESS) {
      counters.add(Count.dropConnectFailed);
      this.#close(flow, true);
    }
    return true;
  }

  #turn(flow: FlowIndex): void {
    const from = flow << 1;
    const to = from | TARGET;
    if ((this.#flags[to] & SideFlag.Connecting) !== 0) return;
    this.#move(from);
    this.#move(to);
    this.#settle(flow);
    if (this.#net.flows.closed[flow] === 0 && (this.#canMove(from) || this.#canMove(to))) {
      this.#ready.add(flow);
    }
  }

  /** Whether this side may give more, as far as is known. */
  #canRead(side: SideIndex): boolean {
    return (this.#flags[side] & SideFlag.Readable) !== 0;
  }

  /** Whether this side may take more, as far as is known. */
  #canWrite(side: SideIndex): boolean {
    return (this.#flags[side] & (SideFlag.Broken | SideFlag.Full)) === 0;
  }

  /** Whether the direction waits for a turn, and not for its receiver. */
  #canMove(side: SideIndex): boolean {
    return this.#canRead(side) && this.#canWrite(side ^ 1);
  }

  /** Moves bytes until there are no more, the receiver takes no more or the budget is used up. */
  #move(side: SideIndex): void {
    const { host } = this.#net;
    let budget = TURN_BYTES;
    while (this.#canWrite(side ^ 1)) {
      if (this.#pipes[side] !== NONE) this.#drain(side);
      else if (budget <= 0 || !this.#canRead(side)) return;
      else {
        const pipe = host.takePipe();
        if (pipe < 0) {
          budget -= this.#pass(side);
          continue;
        }
        const isBulk = (this.#flags[side] & SideFlag.Bulk) !== 0;
        budget -= isBulk ? this.#fill(side, pipe) : this.#copy(side, pipe);
        if (this.#held[side] > 0) this.#pipes[side] = pipe;
        else host.givePipe(pipe, true);
      }
    }
  }

  /** Fills a pipe; how many bytes. */
  #fill(side: SideIndex, pipe: Pipe): number {
    const flags = this.#flags;
    const bytes = this.#net.host.fillPipe(pipe, this.#fds[side]);
    if (bytes < 0 && bytes !== -Errno.EAGAIN) flags[side] |= SideFlag.Broken;
    if (bytes === -Errno.EAGAIN && (flags[side] & SideFlag.Hangup) === 0) flags[side] &= ~SideFlag.Readable;
    else if (bytes < COPY_BYTES) flags[side] &= ~SideFlag.Bulk;
    this.#held[side] = Math.max(bytes, 0);
    return this.#held[side];
  }

  /** Copies some bytes to the receiver, and into the pipe what it does not take; how many bytes. */
  #copy(side: SideIndex, pipe: Pipe): number {
    const { host, plan } = this.#net;
    const flags = this.#flags;
    const at = plan.sendAt;
    const bytes = host.read(this.#fds[side], at, COPY_BYTES);
    if (bytes <= 0) {
      this.#nothing(side, bytes);
      return 0;
    }
    if (bytes === COPY_BYTES) flags[side] |= SideFlag.Bulk;
    else if ((flags[side] & SideFlag.Hangup) === 0) flags[side] &= ~SideFlag.Readable;
    host.part(0, at, bytes);
    const sent = host.send(this.#fds[side ^ 1], 1);
    const rest = bytes - Math.max(sent, 0);
    if (sent < 0) this.#refused(side ^ 1, sent);
    if (rest > 0) host.writePipe(pipe, at + bytes - rest, rest);
    this.#held[side] = rest;
    return bytes;
  }

  /** Passes on some bytes without a pipe; how many. */
  #pass(side: SideIndex): number {
    const { host, plan } = this.#net;
    const fd = this.#fds[side];
    host.preparePeek(fd);
    const bytes = host.peek(fd, plan.sendAt, COPY_BYTES);
    if (bytes <= 0) {
      this.#nothing(side, bytes);
      return 0;
    }
    host.part(0, plan.sendAt, bytes);
    const sent = host.send(this.#fds[side ^ 1], 1);
    if (sent > 0) host.discard(fd, sent);
    else this.#refused(side ^ 1, sent);
    return Math.max(sent, 0);
  }

  /** A read gave no bytes: nothing there now, the end of the stream, or an error. */
  #nothing(side: SideIndex, result: number): void {
    const flags = this.#flags;
    flags[side] &= ~SideFlag.Readable;
    if (result < 0 && result !== -Errno.EAGAIN) flags[side] |= SideFlag.Broken;
    // A socket says this behind an error as well.
    else if (result === 0 && (flags[side] & SideFlag.Broken) === 0) flags[side] |= SideFlag.Ended;
  }

  /** A socket takes nothing more: for the time being, or at all. */
  #refused(side: SideIndex, result: number): void {
    this.#flags[side] |= result === -Errno.EAGAIN ? SideFlag.Full : SideFlag.Broken | SideFlag.Readable;
  }

  /** Empties the pipe into the receiver and gives it back, as far as the receiver takes it. */
  #drain(side: SideIndex): void {
    const { host } = this.#net;
    const to = side ^ 1;
    while (this.#held[side] > 0) {
      const bytes = host.drainPipe(this.#pipes[side], this.#fds[to], this.#held[side]);
      if (bytes <= 0) {
        this.#refused(to, bytes);
        return;
      }
      this.#held[side] -= bytes;
    }
    host.givePipe(this.#pipes[side], true);
    this.#pipes[side] = NONE;
  }

  /** After any moving: passes on ends, and ends the flow when nothing is left to be done. */
  #settle(flow: FlowIndex): void {
    const from = flow << 1;
    const to = from | TARGET;
    this.#passEnd(from);
    this.#passEnd(to);
    if ((this.#flags[from] & this.#flags[to] & SideFlag.Shut) !== 0) this.#close(flow, false);
    else if (this.#isLost(from) || this.#isLost(to)) this.#close(flow, true);
  }

  /** Ends the stream of the other side: nothing is read behind a pipe with bytes, so the end is the last of all. */
  #passEnd(side: SideIndex): void {
    const to = side ^ 1;
    const flags = this.#flags;
    if ((flags[to] & SideFlag.Broken) !== 0) this.#drop(side);
    else if ((flags[side] & SideFlag.Ended) !== 0 && (flags[to] & SideFlag.Shut) === 0) {
      const result = this.#net.host.shutdownWrite(this.#fds[to]);
      flags[to] |= result < 0 ? SideFlag.Broken | SideFlag.Readable : SideFlag.Shut;
    }
  }

  /** Loses what is on its way from a side. */
  #drop(side: SideIndex): void {
    if (this.#pipes[side] !== NONE) this.#net.host.givePipe(this.#pipes[side], false);
    this.#pipes[side] = NONE;
  }

  /** Whether the side is broken and what it said before has been passed on, or cannot be. */
  #isLost(side: SideIndex): boolean {
    if ((this.#flags[side] & SideFlag.Broken) === 0) return false;
    const isPassedOn = this.#pipes[side] === NONE && !this.#canRead(side);
    return isPassedOn || (this.#flags[side ^ 1] & SideFlag.Broken) !== 0;
  }

  /** Ends a flow; with `abort` both peers see a reset. */
  #close(flow: FlowIndex, abort: boolean): void {
    const { host, flows, counters } = this.#net;
    for (let side = flow << 1; side <= ((flow << 1) | TARGET); side++) {
      this.#drop(side);
      const fd = this.#fds[side];
      if (fd !== NONE && abort) host.closeReset(fd);
      else if (fd !== NONE) host.close(fd);
    }
    flows.close(flow);
    counters.add(Count.flowsClosed);
  }
}
