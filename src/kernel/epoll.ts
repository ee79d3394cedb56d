/** One epoll instance. Each descriptor carries two numbers of ours, a kind and an index, that its events return. */
import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EINTR } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { close, epollCreate1, epollCtl, epollWait } from "../ffi/libc.ts";
import { allocate } from "../ffi/memory.ts";
import { epollEvent } from "../ffi/structs.ts";

const STRIDE = epollEvent.size / 4;
const DATA = epollEvent.data / 4;

export class Epoll {
  readonly fd: number;
  readonly #capacity: number;
  readonly #address: number;
  /** The event array; one more event at its end holds the argument of `add` and `modify`. */
  readonly #words: Uint32Array;

  /** @param capacity most events that one `wait` returns. Throws SysError. */
  constructor(capacity = 256) {
    this.fd = check(epollCreate1(EPOLL_CLOEXEC), "epoll_create1");
    this.#capacity = capacity;
    const memory = allocate((capacity + 1) * epollEvent.size);
    this.#address = memory.address;
    this.#words = new Uint32Array(memory.bytes.buffer);
  }

  /**
   * Watches `fd` for `events` (EPOLLIN and so on; EPOLLERR and EPOLLHUP come unasked). Closing the last
   * descriptor of the open file ends it. Returns 0 or -errno.
   * @param kind unsigned 32 bits
   * @param index unsigned 32 bits
   */
  add(fd: number, events: number, kind: number, index: number): number {
    return this.#control(EPOLL_CTL_ADD, fd, events, kind, index);
  }

  /** Replaces what `add` set. Returns 0 or -errno. */
  modify(fd: number, events: number, kind: number, index: number): number {
    return this.#control(EPOLL_CTL_MOD, fd, events, kind, index);
  }

  /** Returns 0 or -errno. Events already fetched remain. */
  remove(fd: number): number {
    return epollCtl(this.fd, EPOLL_CTL_DEL, fd, 0);
  }

  /**
   * Waits for events and returns how many there are; a signal counts as none. They stay readable until the
   * next `wait`. Throws SysError.
   * @param timeoutMs 0 not to wait, -1 to wait for ever
   */
  wait(timeoutMs: number): number {
    const count = epollWait(this.fd, this.#address, this.#capacity, timeoutMs);
    return count === -EINTR ? 0 : check(count, "epoll_wait");
  }

  /** The events of entry `i`, as signed 32 bits. */
  eventsOf(i: number): number {
    return this.#words[i * STRIDE] | 0;
  }
  kindOf(i: number): number {
    return this.#words[i * STRIDE + DATA];
  }
  indexOf(i: number): number {
    return this.#words[i * STRIDE + DATA + 1];
  }

  close(): void {
    close(this.fd);
  }

  #control(operation: number, fd: number, events: number, kind: number, index: number): number {
    const at = this.#capacity * STRIDE;
    this.#words[at] = events;
    this.#words[at + DATA] = kind;
    this.#words[at + DATA + 1] = index;
    return epollCtl(this.fd, operation, fd, this.#address + at * 4);
  }
}
