/**
 * Sockets that wait for clients, by slot, each with the rule that it serves. A UDP listener also carries the flows
 * that came in through it: it stays open, without a rule, until the last of them has ended.
 */
import { Pif } from "../flow/state.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import type { PortRule } from "./port-rule.ts";

/** Place of a listener; used anew once it is free. */
export type ListenerSlot = number;

interface Listener {
  fd: number;
  /** Where its clients are. */
  readonly pif: Pif;
  /** An IP protocol number: TCP or UDP. */
  protocol: number;
  port: number;
  /** Undefined when nobody new may come in. */
  rule: PortRule | undefined;
  /** Flows that send and receive through this socket. */
  users: number;
}

export class Listeners {
  readonly #slots: (Listener | undefined)[] = [];
  readonly #free: ListenerSlot[] = [];
  /** Of UDP and the host's clients, by port; of several at one port any. */
  readonly #udpByPort = new Map<number, ListenerSlot>();
  /** Closes the socket of a listener that nobody needs any more. */
  readonly #close: (fd: number) => void;
  /** Called before the socket of a slot is closed and the slot is free. */
  onClose: (slot: ListenerSlot) => void = () => {};

  constructor(close: (fd: number) => void) {
    this.#close = close;
  }

  /** Takes an open socket that is bound to `port`. */
  add(fd: number, port: number, rule: PortRule): ListenerSlot {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = { fd, pif: rule.pif, protocol: rule.protocol, port, rule, users: 0 };
    if (rule.protocol === IpProtocol.Udp && rule.pif === Pif.Host) this.#udpByPort.set(port, slot);
    return slot;
  }

  /** A UDP listener for clients of the host at this port, or -1. */
  udpAt(port: number): ListenerSlot {
    return this.#udpByPort.get(port) ?? -1;
  }

  /** The descriptor, or -1 for a slot that is free. */
  fd(slot: ListenerSlot): number {
    return this.#slots[slot]?.fd ?? -1;
  }

  /** Where clients are: Pif.Host or Pif.Splice; Pif.None for a slot that is free. */
  pif(slot: ListenerSlot): Pif {
    return this.#slots[slot]?.pif ?? Pif.None;
  }

  /** The IP protocol number of the socket, 0 for a slot that is free. */
  protocol(slot: ListenerSlot): number {
    return this.#slots[slot]?.protocol ?? 0;
  }

  /** The port it listens on, 0 for a slot that is free. */
  port(slot: ListenerSlot): number {
    return this.#slots[slot]?.port ?? 0;
  }

  /** The rule that decides where clients go; undefined when no new ones may come in. */
  rule(slot: ListenerSlot): PortRule | undefined {
    return this.#slots[slot]?.rule;
  }

  /** Flows that use the socket. */
  users(slot: ListenerSlot): number {
    return this.#slots[slot]?.users ?? 0;
  }

  /** Lets new clients in by this rule, also where none came in any more. */
  setRule(slot: ListenerSlot, rule: PortRule): void {
    this.#slots[slot]!.rule = rule;
  }

  /** Lets nobody new in. The socket is closed at once, or when its last flow ends. */
  retire(slot: ListenerSlot): void {
    this.#slots[slot]!.rule = undefined;
    this.#closeUnused(slot);
  }

  /** Notes that a flow uses the socket. */
  use(slot: ListenerSlot): void {
    this.#slots[slot]!.users++;
  }

  /** Notes that a flow does not use the socket any more. */
  release(slot: ListenerSlot): void {
    this.#slots[slot]!.users--;
    this.#closeUnused(slot);
  }

  #closeUnused(slot: ListenerSlot): void {
    const listener = this.#slots[slot]!;
    if (listener.rule !== undefined || listener.users > 0) return;
    this.onClose(slot);
    this.#close(listener.fd);
    if (this.#udpByPort.get(listener.port) === slot) this.#udpByPort.delete(listener.port);
    this.#slots[slot] = undefined;
    this.#free.push(slot);
  }
}
