/**
 * What is said to the container of neighbours without being asked: that the MAC address it was told is another one by
 * now. What a change of the host's comes to is known only when the host has spoken with its neighbours again, so they are
 * looked at at once and once more a while later.
 */
import { isIpv4 } from "../base/address.ts";
import type { Arp } from "./arp.ts";
import type { Ndp } from "./ndp.ts";
import type { Correct, Neighbours } from "./neighbours.ts";
import { hasNdp, type Net } from "./net.ts";

/** Between two looks, however often the host changes. */
const INTERVAL_MS = 1_000;

export class Announcer {
  readonly #net: Net;
  readonly #neighbours: Neighbours;
  readonly #arp: Arp;
  readonly #ndp: Ndp;
  readonly #announce: Correct = (words, at, mac) => {
    if (!isIpv4(words, at)) {
      if (this.#hasNdp()) this.#ndp.announce(words, at, mac);
    } else if (this.#net.link.v4.enabled) this.#arp.announce(words[at + 3], mac);
  };
  /** When neighbours may be looked at again, and when they shall be; -1: not. */
  #restUntil = 0;
  #lookAt = -1;

  constructor(net: Net, neighbours: Neighbours, arp: Arp, ndp: Ndp) {
    this.#net = net;
    this.#neighbours = neighbours;
    this.#arp = arp;
    this.#ndp = ndp;
  }

  /** Something of the host has changed. */
  hostChanged(): void {
    const { nowMs } = this.#net.host;
    if (nowMs >= this.#restUntil) this.#look();
    this.#lookAt = nowMs + INTERVAL_MS;
  }

  /** Has the look that is due. */
  expire(): void {
    if (this.#lookAt < 0 || this.#net.host.nowMs < this.#lookAt) return;
    this.#lookAt = -1;
    this.#look();
  }

  /** Milliseconds until `expire` has something to do, or -1. */
  nextDelay(): number {
    return this.#lookAt < 0 ? -1 : Math.max(0, Math.ceil(this.#lookAt - this.#net.host.nowMs));
  }

  /** Says what has turned out since; no other frame is in the making now. */
  endOfCycle(): void {
    this.#neighbours.correct(this.#announce);
  }

  #look(): void {
    this.#restUntil = this.#net.host.nowMs + INTERVAL_MS;
    this.#neighbours.askAgain();
    this.#neighbours.correct(this.#announce);
    this.#askContainer();
  }

  /** A container that has not spoken yet is made to: frames for everybody are not what its programs take. */
  #askContainer(): void {
    const { guestMac, v4, v6 } = this.#net.link;
    if ((guestMac[0] & 1) === 0) return;
    if (v4.enabled && v4.assigned.length > 0) this.#arp.ask(v4.assigned[0][3]);
    if (this.#hasNdp() && v6.assigned.length > 0) this.#ndp.ask(v6.assigned[0]);
  }

  #hasNdp(): boolean {
    return this.#net.link.v6.enabled && hasNdp(this.#net);
  }
}
