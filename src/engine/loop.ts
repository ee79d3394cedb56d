/**
 * The engine's loop. Our epoll instance is the master and Node's own loop one of its descriptors: as long as
 * there are packets the loop stays here; when Node has something to do (control socket, signals) it returns to
 * Node for a few turns and comes back.
 */
import { EAGAIN, EPOLLIN } from "../ffi/constants.ts";
import { nodeLoopFd, schedYield } from "../ffi/libc.ts";
import { check } from "../ffi/errno.ts";
import type { Epoll } from "../kernel/epoll.ts";
import { BATCH_FRAMES } from "../proto/batch.ts";
import type { Stack } from "../proto/stack.ts";
import type { TokenBucket } from "../proto/token-bucket.ts";
import { ETHERNET_LENGTH } from "../wire/ethernet.ts";
import { VNET_LENGTH } from "../wire/vnet.ts";
import type { KernelHost } from "./host.ts";

/** What an epoll event is about; its index means something else for each. */
export const EventKind = {
  Flow: 0,
  Tap: 1,
  Node: 2,
  Watch: 3,
  Listener: 4,
  Timer: 5,
  Statistics: 6,
  Control: 7,
  Follow: 8,
} as const;

/** Indexes of events of kind Follow: what has changed. */
export const FollowEvent = {
  /** The host's links, addresses, routes or rules. */
  Host: 0,
  /** Those of the container. */
  Container: 1,
  /** The host's resolv.conf. */
  ResolvConf: 2,
  /** It is time to look. */
  Timer: 3,
} as const;

/** What the engine does with events that are not the stack's. */
export interface LoopHandlers {
  /** For events of kind Watch. */
  watch(): void;
  /** For events of kind Timer: the timerfd with this index has run out. */
  timer(index: number): void;
  /** For events of kind Statistics. */
  statistics(): void;
  /** For events of kind Follow. @param event one of FollowEvent */
  follow(event: number): void;
  /** For events of kind Control; Node has its turn afterwards. */
  control(): void;
  /** The TAP cannot be read any more. @param errno positive */
  tapLost(errno: number): void;
}

/** Room for the largest frame: a virtio_net_hdr, Ethernet, IPv6 and 64 KiB. */
const FRAME_ROOM = 65_536 + 128;
/** Received frames start at multiples of this. */
const FRAME_ALIGNMENT = 64;
/** Waits shorter than this are not worth sleeping for: about what falling asleep and being woken costs. */
const AWAKE_MS = 0.05;
/** Received in one cycle, this is a transfer and no dialogue. */
const BULK_BYTES = 16_384;
/** Turns given to Node each time: libuv starts to watch what is new only at its next poll. */
const NODE_TURNS = 3;

export class Loop {
  readonly #epoll: Epoll;
  readonly #host: KernelHost;
  readonly #stack: Stack;
  readonly #tapFd: number;
  /** Limit of what is read from the TAP. */
  readonly #egress: TokenBucket | undefined;
  readonly #handlers: LoopHandlers;
  /** Those that wait for packets to have had their turn. */
  readonly #paused: (() => void)[] = [];
  #isRunning = false;
  #stopping = false;
  /** Whether the last wait was so short that sleeping did not pay. */
  #awake = false;
  /** Whether the last cycle brought so much that the sender is better left alone with its processor. */
  #isBulk = false;
  /** Whether the cycle before this one brought frames too. */
  #tapWasReadable = false;

  /** @param tapFd -1 to do without */
  constructor(epoll: Epoll, host: KernelHost, stack: Stack, tapFd: number, handlers: LoopHandlers) {
    this.#epoll = epoll;
    this.#host = host;
    this.#stack = stack;
    this.#tapFd = tapFd;
    this.#egress = stack.net.egress;
    this.#handlers = handlers;
    if (tapFd >= 0) check(epoll.add(tapFd, EPOLLIN, EventKind.Tap, 0), "epoll_ctl", "TAP");
    check(epoll.add(nodeLoopFd(), EPOLLIN, EventKind.Node, 0), "epoll_ctl", "event loop of Node.js");
  }

  start(): void {
    this.#isRunning = true;
    setImmediate(() => this.#afterNode(NODE_TURNS));
  }

  /** Resolves when packets have had a turn: for work in Node that is long enough to hold them up. */
  pause(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isRunning) this.#paused.push(resolve);
      else setImmediate(resolve);
    });
  }

  /** Lets the loop end; Node's own loop then runs alone. */
  stop(): void {
    this.#stopping = true;
    this.#isRunning = false;
  }

  #afterNode(turns: number): void {
    if (this.#stopping) return;
    if (turns > 0) {
      setImmediate(() => this.#afterNode(turns - 1));
      return;
    }
    while (!this.#cycle()) {
      // Everything happens in the condition.
    }
    for (const resume of this.#paused.splice(0)) resume();
    setImmediate(() => this.#afterNode(NODE_TURNS));
  }

  /** One wake-up; true when Node or the end of the engine is due. */
  #cycle(): boolean {
    const stack = this.#stack;
    const epoll = this.#epoll;
    const isPaused = this.#paused.length > 0;
    const count = this.#wait(stack.isBusy || isPaused ? 0 : this.#nextDelay());
    this.#host.nowMs = performance.now();
    stack.startOfCycle();
    let node = false;
    let tap = this.#egress?.refill(this.#host.nowMs) === true;
    if (tap) this.#watchTap(EPOLLIN);
    for (let i = 0; i < count; i++) {
      const kind = epoll.kindOf(i);
      if (kind === EventKind.Flow) stack.socketEvent(epoll.indexOf(i), epoll.eventsOf(i));
      else if (kind === EventKind.Tap) tap = true;
      else if (kind === EventKind.Node) node = true;
      else if (kind === EventKind.Listener) stack.listenerEvent(epoll.indexOf(i), epoll.eventsOf(i));
      else if (kind === EventKind.Timer) this.#handlers.timer(epoll.indexOf(i));
      else if (kind === EventKind.Statistics) this.#handlers.statistics();
      else if (kind === EventKind.Follow) this.#handlers.follow(epoll.indexOf(i));
      else if (kind === EventKind.Control) {
        this.#handlers.control();
        node = true;
      } else this.#handlers.watch();
    }
    stack.service();
    if (this.#egress?.isOpen === true && !tap) this.#egress.isIdle = true;
    this.#isBulk = tap && this.#readTap() >= BULK_BYTES;
    this.#tapWasReadable = tap;
    stack.endOfCycle();
    return node || isPaused || this.#stopping;
  }

  /** Milliseconds until something is due, or -1. */
  #nextDelay(): number {
    const delay = this.#stack.nextDelay();
    const opening = this.#egress === undefined ? -1 : this.#egress.nextDelay();
    return opening >= 0 && (delay < 0 || opening < delay) ? opening : delay;
  }

  /** Has the TAP reported for `events`; what is not read meanwhile waits in its queue. */
  #watchTap(events: number): void {
    check(this.#epoll.modify(this.#tapFd, events, EventKind.Tap, 0), "epoll_ctl", "TAP");
  }

  /**
   * Waits for events, at most `delay` milliseconds. While they follow each other closely it first asks again and
   * again for a moment: being woken costs more than that, and costs it on the processor of whoever sends. One
   * moment in vain ends it, so an idle engine sleeps.
   */
  #wait(delay: number): number {
    if (delay === 0) return this.#epoll.wait(0);
    const start = performance.now();
    while (this.#awake && !this.#isBulk) {
      const count = this.#epoll.wait(0);
      if (count > 0) return count;
      // Whoever else has work on this processor goes first.
      schedYield();
      this.#awake = performance.now() - start < AWAKE_MS;
    }
    const count = this.#epoll.wait(delay);
    this.#awake = performance.now() - start < AWAKE_MS;
    return count;
  }

  /**
   * Reads frames until there are no more or the batch is full. A first wake-up takes one only: in a dialogue
   * there is no second, and to be told so would cost a call. Returns how many bytes came, with their alignment.
   */
  #readTap(): number {
    const host = this.#host;
    const egress = this.#egress;
    const { receiveAt, receiveLength } = this.#stack.net.plan;
    const last = receiveAt + receiveLength - FRAME_ROOM;
    const most = this.#tapWasReadable ? BATCH_FRAMES : 1;
    let at = receiveAt;
    for (let frames = 0; frames < most && at <= last; frames++) {
      const length = host.tapRead(at, FRAME_ROOM);
      if (length < 0) {
        if (length !== -EAGAIN) this.#handlers.tapLost(-length);
        else if (egress !== undefined) egress.isIdle = true;
        break;
      }
      this.#stack.frame(at, at + length);
      at = (at + length + FRAME_ALIGNMENT - 1) & -FRAME_ALIGNMENT;
      if (egress === undefined) continue;
      egress.take(length - VNET_LENGTH - ETHERNET_LENGTH);
      if (egress.isOpen) continue;
      egress.isIdle = false;
      this.#watchTap(0);
      break;
    }
    this.#stack.endOfFrames();
    return at - receiveAt;
  }
}
