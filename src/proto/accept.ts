/**
 * Clients of TCP listeners. Listeners with clients take turns, so that one with many does not keep the others waiting;
 * each client becomes a flow whose rule says where it goes. Whom nothing inside can serve sees a reset.
 */
import { isIpv4, isUnicast } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { Pif } from "../flow/state.ts";
import { NO_FLOW, packKind, packPorts, SideWord } from "../flow/table.ts";
import { inboundTarget } from "../forward/inbound.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { RateLimit } from "../log/rate-limit.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import type { Fd } from "./host.ts";
import { Errno } from "./linux.ts";
import type { Net } from "./net.ts";
import type { Splice } from "./splice.ts";
import type { Tcp } from "./tcp/tcp.ts";

/** Clients that a listener may bring in one turn. */
const TURN_CLIENTS = 32;
/** Source ports tried for a client that would look inside like another one. */
const PORT_TRIES = 64;
const FIRST_USER_PORT = 1024;

export class Acceptor {
  readonly #net: Net;
  readonly #tcp: Tcp;
  readonly #splice: Splice;
  /** Listeners to visit in this turn and in the next, and whether each slot is among them. */
  #ready: ListenerSlot[] = [];
  #next: ListenerSlot[] = [];
  readonly #isReady: boolean[] = [];
  /** Clients can bring these about at will. */
  readonly #warnings = new RateLimit();

  constructor(net: Net, tcp: Tcp, splice: Splice) {
    this.#net = net;
    this.#tcp = tcp;
    this.#splice = splice;
  }

  /** Somebody waits at a listener; told once, until it was found empty. */
  listenerEvent(slot: ListenerSlot): void {
    if (this.#isReady[slot]) return;
    this.#isReady[slot] = true;
    this.#ready.push(slot);
  }

  /** Gives every ready listener a turn. */
  service(): void {
    const current = this.#ready;
    this.#ready = this.#next;
    this.#next = current;
    for (const slot of current) {
      this.#isReady[slot] = false;
      if (this.#turn(slot)) this.listenerEvent(slot);
    }
    current.length = 0;
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
      } else if (fd !== -Errno.ECONNABORTED) return false;
    }
    return true;
  }

  /** Builds the flow of a client whose addresses are in the key, and hands it to what carries it. */
  #admit(slot: ListenerSlot, fd: Fd): void {
    const { flows, listeners, link, rules, ports } = this.#net;
    const { key } = flows;
    const rule = listeners.rule(slot);
    if (rule === undefined) return this.#refuse(fd, Count.dropForward);
    if ((key[SideWord.Ports] & 0xffff) === 0) return this.#refuse(fd, Count.dropPort);
    if (!isUnicast(key, SideWord.Endpoint)) return this.#refuse(fd, Count.dropIpAddress);
    const family = isIpv4(key, SideWord.Endpoint) ? link.v4 : link.v6;
    if (!family.enabled) return this.#refuse(fd, Count.dropFamilyOff);
    const flow = flows.allocate();
    if (flow === NO_FLOW) {
      this.#warn("no room for another flow: clients are reset until others end (see --flows)", slot);
      return this.#refuse(fd, Count.dropFlowTableFull);
    }
    key[SideWord.Kind] = packKind(IpProtocol.Tcp, rule.pif);
    flows.initiate(flow);
    const target = inboundTarget(rules, ports, rule, key);
    if (target === Pif.None || (target === Pif.Tap && !this.#makeUnique())) {
      flows.cancel(flow);
      return this.#refuse(fd, Count.dropForward);
    }
    flows.target(flow);
    if (target === Pif.Tap) this.#tcp.accepted(flow, fd);
    else this.#splice.open(flow, fd);
  }

  /**
   * Clients that differ only in the address or port they came to look the same inside. The key of the second gets
   * another source port; false when there is none.
   */
  #makeUnique(): boolean {
    const { flows } = this.#net;
    const ports = flows.key[SideWord.Ports];
    let ours = ports >>> 16;
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      if (flows.lookup() === NO_FLOW) return true;
      ours = ours <= FIRST_USER_PORT ? 65_535 : ours - 1;
      flows.key[SideWord.Ports] = packPorts(ours, ports & 0xffff);
    }
    return false;
  }

  #refuse(fd: Fd, counter: number): void {
    this.#net.counters.add(counter);
    this.#net.host.closeReset(fd);
  }

  #warn(message: string, slot: ListenerSlot): void {
    const { log, host, listeners } = this.#net;
    if (!this.#warnings.allow(host.nowMs)) return;
    log.warn(message, { port: listeners.port(slot), suppressed: this.#warnings.suppressed });
  }
}
