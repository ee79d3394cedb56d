/** Where listening sockets are bound: all but the port, and which sockets there are at present. */
import { formatIp, ipv4Words, isIpv4, isUnspecified } from "../../base/address.ts";
import { Pif } from "../../flow/state.ts";
import type { Address } from "../../forward/address-rules.ts";
import type { ListenerSlot } from "../../forward/listeners.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import type { HandedIn } from "./handed-in.ts";
import type { Presence } from "./presence.ts";

export interface BindPoint {
  /** The side on which the sockets are. */
  readonly pif: Pif;
  /** An IP protocol number: TCP or UDP. */
  readonly protocol: number;
  /** Undefined: every address of both families. */
  readonly address: Address | undefined;
  readonly device: string | undefined;
  /** The interface that the name stood for, or a link-local address is on, by index; 0 where that never matters. */
  readonly index: number;
  /** The one socket that there can be, where we were given it. */
  readonly handedIn: HandedIn | undefined;
  /** Its sockets by port. One without a rule carries what is left of flows (see Listeners.retire). */
  readonly slots: Map<number, ListenerSlot>;
}

const LOOPBACKS: readonly Address[] = [ipv4Words(0x7f000001), Uint32Array.of(0, 0, 0, 1)];
const NONE: ReadonlySet<BindPoint> = new Set();

export class BindPoints {
  readonly #presence: Presence;
  readonly #points = new Map<string, BindPoint>();
  /** The points at which a rule has had sockets. */
  readonly #byRule = new WeakMap<PortRule, Set<BindPoint>>();
  /** The point of each slot. */
  readonly #bySlot: BindPoint[] = [];
  /** False where sockets in the container cannot be bound to its loopback interface, only to its addresses. */
  hasLoopbackDevice = true;

  constructor(presence: Presence) {
    this.#presence = presence;
  }

  /** Where a rule should listen now, but for sockets that were handed in; nowhere as long as it waits. */
  ofRule(rule: PortRule): BindPoint[] {
    const { pif, protocol, device } = rule;
    if (this.#presence.missing(rule) !== "") return [];
    const listen = this.#presence.address(rule);
    const index = this.#presence.index(rule);
    if (pif === Pif.Host || this.hasLoopbackDevice) {
      return [this.#get({ pif, protocol, address: listen, device, index, handedIn: undefined })];
    }
    const isAny = listen === undefined || isUnspecified(listen);
    const addresses = !isAny
      ? [listen]
      : LOOPBACKS.filter((each) => listen === undefined || isIpv4(listen) === isIpv4(each));
    return addresses.map((address) =>
      this.#get({ pif, protocol, address, device: undefined, index, handedIn: undefined }),
    );
  }

  ofHandedIn(handedIn: HandedIn): BindPoint {
    const { protocol, address, device } = handedIn;
    return this.#get({ pif: Pif.Host, protocol, address, device, index: 0, handedIn });
  }

  /** The points at which there may be sockets of a rule. */
  usedBy(rule: PortRule): ReadonlySet<BindPoint> {
    return this.#byRule.get(rule) ?? NONE;
  }

  /** Where the socket of a slot is bound. */
  of(slot: ListenerSlot): BindPoint {
    return this.#bySlot[slot];
  }

  /** Notes a socket. */
  add(point: BindPoint, port: number, slot: ListenerSlot): void {
    point.slots.set(port, slot);
    this.#bySlot[slot] = point;
  }

  /** Notes that a socket serves a rule. */
  use(slot: ListenerSlot, rule: PortRule): void {
    const point = this.#bySlot[slot];
    const points = this.usedBy(rule);
    if (points.has(point)) return;
    this.#byRule.set(rule, new Set([...points, point].filter(({ slots }) => slots.size > 0)));
  }

  /** Forgets a socket that is going to be closed. */
  remove(port: number, slot: ListenerSlot): void {
    this.#bySlot[slot].slots.delete(port);
  }

  /** Calls `visit` for every point of a side and protocol. */
  forEach(pif: Pif, protocol: number, visit: (point: BindPoint) => void): void {
    for (const point of this.#points.values()) {
      if (point.pif === pif && point.protocol === protocol) visit(point);
    }
  }

  /** Every slot there is. */
  slots(): ListenerSlot[] {
    return [...this.#points.values()].flatMap(({ slots }) => [...slots.values()]);
  }

  /** Forgets points without sockets; to be called when nobody holds one. */
  prune(): void {
    for (const [key, { slots }] of this.#points) {
      if (slots.size === 0) this.#points.delete(key);
    }
  }

  #get(where: Omit<BindPoint, "slots">): BindPoint {
    const { pif, protocol, address, device = "", index, handedIn } = where;
    const text = address === undefined ? "*" : formatIp(address);
    const key = [pif, protocol, text, device, index, handedIn?.fd ?? ""].join(" ");
    const known = this.#points.get(key);
    if (known !== undefined) return known;
    const point = { ...where, slots: new Map<number, ListenerSlot>() };
    this.#points.set(key, point);
    return point;
  }
}
