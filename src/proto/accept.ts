/**
 * Clients of TCP listeners. Listeners with clients take turns, so that one with many does not keep the others waiting;
 * each client becomes a flow whose rule says where it goes. Whom nothing inside can serve sees a reset.
 */
import { Count } from "../base/counters.ts";
import { FlowQueue } from "../flow/queue.ts";
import { Pif } from "../flow/state.ts";
import { NO_FLOW, sidePif } from "../flow/table.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { RateLimit } from "../log/rate-limit.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import { Admission } from "./admission.ts";
import type { Fd } from "./host.ts";
import { Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import type { Splice } from "./splice.ts";
import type { Tcp } from "./tcp/tcp.ts";

/** Clients that a listener may bring in one turn. */
const TURN_CLIENTS = 32;
/** Pause before clients are asked in again for whom the system had no room; there will be no event. */
const RETRY_MS = 50;

export class Acceptor {
  readonly #net: Net;
  readonly #tcp: Tcp;
  readonly #splice: Splice;
  readonly #admission: Admission;
  readonly #ready = new FlowQueue(0);
  /** Listeners that have failed, and when they are tried again. */
  readonly #failed = new FlowQueue(0);
  #retryAt = 0;
  /** Clients can bring these about at will. */
  readonly #warnings = new RateLimit();

  constructor(net: Net, tcp: Tcp, splice: Splice) {
    this.#net = net;
    this.#tcp = tcp;
    this.#splice = splice;
    this.#admission = new Admission(net);
  }

  /** Somebody waits at a listener; told once, until it was found empty. */
  listenerEvent(slot: ListenerSlot): void {
    this.#ready.add(slot);
  }

  /** Gives every ready listener a turn. */
  service(): void {
    for (let left = this.#ready.length; left > 0; left--) {
      const slot = this.#ready.take();
      if (this.#turn(slot)) this.#ready.add(slot);
    }
  }

  /** Takes all clients that wait at a listener, which is about to be closed. */
  drain(slot: ListenerSlot): void {
    while (this.#turn(slot)) {
      // Everything happens in the condition.
    }
  }

  /** Tries again at the listeners that have failed a while ago. */
  expire(): void {
    if (this.nextDelay() !== 0) return;
    while (this.#failed.length > 0) this.#ready.add(this.#failed.take());
  }

  /** Milliseconds until `expire` is due, or -1. */
  nextDelay(): number {
    return this.#failed.length === 0 ? -1 : Math.max(0, this.#retryAt - this.#net.host.nowMs);
  }

  /** Whether some listener waits for a turn. */
  get isBusy(): boolean {
    return this.#ready.length > 0;
  }

  /** Accepts some clients; tells whether there may be more. */
  #turn(slot: ListenerSlot): boolean {
    const { host, listeners } = this.#net;
    // It may have been closed since its event.
    if (listeners.protocol(slot) !== IpProtocol.Tcp) return false;
    for (let clients = 0; clients < TURN_CLIENTS; clients++) {
      const fd = host.accept(listeners.fd(slot));
      if (fd >= 0) this.#admit(slot, fd);
      else if (fd === -Errno.EMFILE) {
        this.#net.counters.add(Count.dropSocketLimit);
        this.#warn("no further socket can be opened: clients are reset (see ulimit -n)", slot);
      } else if (fd !== -Errno.ECONNABORTED) {
        if (fd !== -Errno.EAGAIN) this.#retry(slot, -fd);
        return false;
      }
    }
    return true;
  }

  #retry(slot: ListenerSlot, errno: number): void {
    const { host } = this.#net;
    if (this.#failed.length === 0) this.#retryAt = host.nowMs + RETRY_MS;
    this.#failed.add(slot);
    this.#warn(`clients cannot be accepted for the time being (errno ${errno})`, slot);
  }

  /** Hands the flow of a client whose addresses are in the key to what carries it. */
  #admit(slot: ListenerSlot, fd: Fd): void {
    const { flows, host } = this.#net;
    const flow = this.#admission.admit(slot);
    if (flow === NO_FLOW) return host.closeReset(fd);
    flows.target(flow);
    if (sidePif(flows.key, 0) === Pif.Tap) this.#tcp.accepted(flow, fd);
    else this.#splice.open(flow, fd);
  }

  #warn(message: string, slot: ListenerSlot): void {
    const { log, host, listeners } = this.#net;
    this.#warnings.warn(log, host.nowMs, message, "port", listeners.port(slot));
  }
}
