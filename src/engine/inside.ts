/**
 * Sockets in the container's network namespace. The one thread of libuv's pool (UV_THREADPOOL_SIZE) enters it when the
 * engine starts, gives up its privilege and stays: sockets that it opens belong to the whole process. So nothing else
 * in the engine may use the pool; asynchronous file calls and name lookups would do so.
 *
 * Capabilities belong to threads, and nobody can take away those of another one: Node's own idle threads keep what the
 * engine was born with, unless it becomes another user (kernel/caps.ts). What they could do with it, seccomp forbids to
 * all threads (kernel/seccomp.ts).
 */
import * as c from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { close } from "../ffi/libc.ts";
import { socketOnPool } from "../ffi/libc-async.ts";
import { ASYNC_CALLS } from "../ffi/library.ts";
import { dropCapabilitiesOnPool } from "../kernel/caps.ts";
import { enterOnPool } from "../kernel/namespace.ts";
import { belowLimit } from "../kernel/process.ts";
import { prepareTcp, prepareUdp } from "../kernel/socket.ts";

/** Sockets of a kind that are kept ready, from the first time that one is asked for. */
const STOCK = 64;
/** The same after more than those were wanted at a time. */
const STOCK_MOST = 512;
/** The same where descriptors are scarce, at first. */
const STOCK_LEAST = 2;

interface Stock {
  readonly v6: boolean;
  readonly protocol: number;
  readonly fds: number[];
  wanted: number;
  isFilling: boolean;
  /** Whether somebody was told that there is none. */
  isAwaited: boolean;
  /** Why the last filling could not open them all, negative, or 0. */
  error: number;
}

export class Inside {
  /** Called when `take` has sockets again, or knows why not, after it had none. */
  onReady: () => void = () => {};
  readonly #stocks: Stock[] = [];
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #fdLimit: number;

  private constructor(fdLimit: number) {
    this.#fdLimit = fdLimit;
  }

  /**
   * Enters the network namespace of a descriptor; afterwards the thread of the pool has no capabilities. Needs
   * CAP_SYS_ADMIN here and in the namespace's owner. Throws SysError.
   * @param fdLimit sockets of the stock have descriptors below this
   * @param entered is called in between, while all threads have the capabilities that they were born with
   */
  static async enter(netns: number, fdLimit = Infinity, entered = (): void => {}): Promise<Inside> {
    check(await enterOnPool(netns), "setns", "network namespace of the container");
    entered();
    check(await dropCapabilitiesOnPool(), "capset", "thread inside");
    return new Inside(fdLimit);
  }

  /** Opens a non-blocking TCP or UDP socket without options: the descriptor or -errno. */
  socket(v6: boolean, protocol: number): Promise<number> {
    const type = protocol === c.IPPROTO_TCP ? c.SOCK_STREAM : c.SOCK_DGRAM;
    return this.open(v6 ? c.AF_INET6 : c.AF_INET, type, protocol);
  }

  /** Opens any socket, non-blocking, as socket(2) does. */
  async open(domain: number, type: number, protocol: number): Promise<number> {
    if (this.#running === ASYNC_CALLS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    const fd = await socketOnPool(domain, type | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, protocol);
    // Whoever waits takes our place.
    const next = this.#waiting.pop();
    if (next === undefined) this.#running--;
    else next();
    return fd;
  }

  /**
   * A socket of the stock with the options of all connections and datagrams, or -errno. -EAGAIN says that there is none
   * at the moment: `onReady` will be called.
   */
  take(v6: boolean, protocol: number): number {
    const stock = this.#stock(v6, protocol);
    if (stock.fds.length < stock.wanted / 2 && !stock.isFilling) void this.#fill(stock);
    const fd = stock.fds.pop() ?? stock.error;
    if (fd !== 0) return fd;
    if (stock.isAwaited) stock.wanted = Math.min(2 * stock.wanted, STOCK_MOST);
    stock.isAwaited = true;
    return -c.EAGAIN;
  }

  #stock(v6: boolean, protocol: number): Stock {
    const kind = (protocol === c.IPPROTO_TCP ? 0 : 2) + (v6 ? 1 : 0);
    return (this.#stocks[kind] ??= {
      v6,
      protocol,
      fds: [],
      wanted: STOCK,
      isFilling: false,
      isAwaited: false,
      error: 0,
    });
  }

  /** Opens at least one: nothing else brings the engine back to Node, where promises go on. */
  async #fill(stock: Stock): Promise<void> {
    stock.isFilling = true;
    stock.error = 0;
    // Nobody had to wait since the last time: half of it does as well.
    if (stock.fds.length > 0) stock.wanted = Math.max(stock.wanted / 2, STOCK);
    do {
      const length = stock.wanted - stock.fds.length;
      await Promise.all(Array.from({ length }, () => this.#add(stock)));
    } while (stock.isAwaited);
    stock.isFilling = false;
  }

  async #add(stock: Stock): Promise<void> {
    const { v6, protocol } = stock;
    const opened = belowLimit(await this.socket(v6, protocol), this.#fdLimit);
    const fd = protocol === c.IPPROTO_TCP ? prepareTcp(opened) : prepareUdp(opened, v6);
    if (fd < 0) stock.error = fd;
    else if (fd >= this.#fdLimit / 2 && !stock.isAwaited) {
      // Descriptors are given in order, so half of them are in use: what nobody waits for would keep clients out.
      close(fd);
      stock.wanted = STOCK_LEAST;
    } else stock.fds.push(fd);
    if (!stock.isAwaited) return;
    stock.isAwaited = false;
    this.onReady();
  }
}
