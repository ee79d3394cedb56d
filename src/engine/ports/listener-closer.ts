/** Closes listeners so that nobody is lost who is connected, or is about to believe that. */
import { SysError } from "../../base/errors.ts";
import { EPOLLIN } from "../../ffi/constants.ts";
import { check } from "../../ffi/errno.ts";
import { close } from "../../ffi/libc.ts";
import { Pif } from "../../flow/state.ts";
import type { Listeners, ListenerSlot } from "../../forward/listeners.ts";
import type { Epoll } from "../../kernel/epoll.ts";
import type { SockDiag } from "../../kernel/sock-diag.ts";
import { openInterval } from "../../kernel/timer.ts";
import { IpProtocol } from "../../wire/ipv4.ts";
import type { ListenSockets } from "./listen-sockets.ts";
import { EventKind } from "../loop.ts";
import { type Pause, SLICE } from "./change.ts";
import { PortMap } from "./port-map.ts";
import type { SideDiags } from "./side-diags.ts";

/** How often to look whether clients are done connecting. */
const POLL_MS = 10;
/** After this their kernels ask again, and are told then. @see TCP_TIMEOUT_INIT in net/tcp.h */
const HANDSHAKE_MS = 1000;

export interface ListenerCloserOptions {
  readonly sockets: ListenSockets;
  readonly listeners: Listeners;
  readonly epoll: Epoll;
  /** Index of the timer events that `wake` is to be called for. */
  readonly timerIndex: number;
  readonly diags: SideDiags;
  readonly pause: Pause;
}

export class ListenerCloser {
  readonly #options: ListenerCloserOptions;
  #wake: () => void = () => {};

  constructor(options: ListenerCloserOptions) {
    this.#options = options;
  }

  /** Closes sockets; one call after the other. */
  async close(slots: readonly ListenerSlot[]): Promise<void> {
    const { sockets } = this.#options;
    await this.#each(slots, (slot) => sockets.stop(slot));
    for (const pif of [Pif.Host, Pif.Splice]) await this.#awaitHandshakes(pif, slots);
    await this.#each(slots, (slot) => sockets.retire(slot));
  }

  /** To be called when the timer has run out. */
  wake(): void {
    this.#wake();
  }

  /** Does something for each slot, and lets packets through. */
  async #each(slots: readonly ListenerSlot[], act: (slot: ListenerSlot) => void): Promise<void> {
    for (const [i, slot] of slots.entries()) {
      if (i > 0 && i % SLICE === 0) await this.#options.pause();
      act(slot);
    }
  }

  /** Whoever has been answered believes to be connected soon, and shall not be wrong. */
  async #awaitHandshakes(pif: Pif, slots: readonly ListenerSlot[]): Promise<void> {
    const { listeners, sockets, diags } = this.#options;
    const ports = new PortMap();
    const ofSide = slots.filter((slot) => sockets.points.of(slot).pif === pif);
    const ofTcp = ofSide.filter((slot) => listeners.protocol(slot) === IpProtocol.Tcp);
    if (ofTcp.length === 0) return;
    for (const slot of ofTcp) ports.add(listeners.port(slot));
    const deadline = performance.now() + HANDSHAKE_MS;
    try {
      const diag = await diags.of(pif);
      while (isSomebodyConnecting(diag, ports) && performance.now() < deadline) await this.#sleep();
    } catch (error) {
      // A kernel that does not tell. It is not worth a change that is done but for this.
      if (!(error instanceof SysError)) throw error;
    }
  }

  /** Node's timers do not wake the engine's loop. */
  async #sleep(): Promise<void> {
    const { epoll, timerIndex } = this.#options;
    const fd = openInterval(POLL_MS);
    check(epoll.add(fd, EPOLLIN, EventKind.Timer, timerIndex), "epoll_ctl", "timer");
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    close(fd);
  }
}

/** Whether the kernel has answered a client of one of these ports that has not confirmed it yet. */
function isSomebodyConnecting(diag: SockDiag, ports: PortMap): boolean {
  let count = 0;
  const visit = ({ port }: { port: number }): void => {
    if (ports.has(port)) count++;
  };
  diag.dumpHandshakes(false, visit);
  diag.dumpHandshakes(true, visit);
  return count > 0;
}
