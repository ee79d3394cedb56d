/**
 * One change of what is listened to. Everything new is opened first, then all of it is put in force or all taken
 * back; sockets that stay are left alone and only change their rule.
 */
import { close } from "../../ffi/libc.ts";
import type { Listeners, ListenerSlot } from "../../forward/listeners.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import type { BindPoint } from "./bind-points.ts";
import type { ListenSockets } from "./listen-sockets.ts";

/** Sockets that are handled before packets get a turn: some milliseconds. */
export const SLICE = 256;

/** Lets packets have a turn. */
export type Pause = () => Promise<void>;

interface Opened {
  readonly point: BindPoint;
  readonly port: number;
  readonly rule: PortRule;
  /** -1 once it belongs to the slot. */
  fd: number;
  /** -1 while nobody watches it. */
  slot: ListenerSlot;
}

export class PortChange {
  readonly #sockets: ListenSockets;
  readonly #listeners: Listeners;
  readonly #pause: Pause;
  readonly #opened: Opened[] = [];
  readonly #kept: { slot: ListenerSlot; rule: PortRule }[] = [];

  constructor(sockets: ListenSockets, listeners: Listeners, pause: Pause) {
    this.#sockets = sockets;
    this.#listeners = listeners;
    this.#pause = pause;
  }

  /**
   * Opens ports of a rule, or takes the sockets there are.
   * @param onFailure called for each port that cannot be had, with a positive errno; what it throws ends it all
   */
  async open(
    rule: PortRule,
    ports: readonly number[],
    onFailure: (port: number, errno: number) => void,
  ): Promise<void> {
    const points = this.#sockets.points.ofRule(rule);
    for (let at = 0; at < ports.length; at += SLICE) {
      if (at > 0) await this.#pause();
      const slice = ports.slice(at, at + SLICE);
      const errnos = await this.#openSlice(rule, slice, points);
      for (const [port, errno] of errnos) onFailure(port, errno);
    }
  }

  /** Puts everything in force. Throws SysError, and then wants to be taken back. */
  async commit(): Promise<void> {
    for (const [i, opened] of this.#opened.entries()) {
      if (i > 0 && i % SLICE === 0) await this.#pause();
      const { point, port, fd, rule } = opened;
      opened.fd = -1;
      opened.slot = this.#sockets.register(point, port, fd, rule);
    }
    for (const { slot, rule } of this.#kept) {
      this.#sockets.setRule(slot, rule);
      this.#listeners.release(slot);
    }
  }

  /** Closes what was opened. */
  async rollBack(): Promise<void> {
    for (const [i, { slot, fd }] of this.#opened.entries()) {
      if (i > 0 && i % SLICE === 0) await this.#pause();
      if (slot >= 0) this.#sockets.stop(slot);
      if (slot >= 0) this.#sockets.retire(slot);
      else if (fd >= 0) close(fd);
    }
    for (const { slot } of this.#kept) this.#listeners.release(slot);
  }

  /** Opens some ports: positive errno of those that cannot be had. */
  async #openSlice(
    rule: PortRule,
    ports: readonly number[],
    points: readonly BindPoint[],
  ): Promise<Map<number, number>> {
    const missing = new Map<BindPoint, number[]>();
    const errnos = new Map<number, number>();
    const served = new Set<number>();
    for (const port of ports) {
      for (const point of this.#sockets.pointsAt(points, rule, port)) {
        const slot = point.slots.get(port);
        if (slot === undefined) getOrAdd(missing, point).push(port);
        else {
          this.#keep(slot, rule);
          served.add(port);
        }
      }
    }
    for (const [point, wanted] of missing) {
      const fds = await this.#sockets.open(point, wanted);
      for (const [i, port] of wanted.entries()) {
        if (fds[i] < 0) {
          errnos.set(port, -fds[i]);
          continue;
        }
        this.#opened.push({ point, port, fd: fds[i], rule, slot: -1 });
        served.add(port);
      }
    }
    // Of two addresses one is enough: the container may lack a family.
    for (const port of served) errnos.delete(port);
    return errnos;
  }

  /** A socket without a rule could be closed any time; one that is used is not. */
  #keep(slot: ListenerSlot, rule: PortRule): void {
    this.#listeners.use(slot);
    this.#kept.push({ slot, rule });
  }
}

function getOrAdd(map: Map<BindPoint, number[]>, point: BindPoint): number[] {
  let ports = map.get(point);
  if (ports === undefined) map.set(point, (ports = []));
  return ports;
}
