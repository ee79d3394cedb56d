/** Where listening sockets are bound: all but the port, and which sockets there are at present. */
import { formatIp, ipv4Words, isIpv4, isUnspecified } from "../../base/address.ts";
import { Pif } from "../../flow/state.ts";
import type { Address } from "../../forward/address-rules.ts";
import type { ListenerSlot } from "../../forward/listeners.ts";
import type { PortRule } from "../../forward/port-rule.ts";
import type { HandedIn } from "./handed-in.ts";

export interface BindPoint {
  /** The side on which the sockets are. */
  readonly pif: Pif;
  /** An IP protocol number: TCP or UDP. */
  readonly protocol: number;
  /** Undefined: every address of both families. */
  readonly address: Address | undefined;
  readonly device: string | undefined;
  /** The one socket that there can be, where we were given it. */
  readonly handedIn: HandedIn | undefined;
  /** Its sockets by port. One without a rule carries what is left of flows (see Listeners.retire). */
  readonly slots: Map<number, ListenerSlot>;
}

const LOOPBACK_4 = ipv4Words(0x7f000001);
const LOOPBACK_6: Address = Uint32Array.of(0, 0, 0, 1);

export class BindPoints {
  readonly #points = new Map<string, BindPoint>();
  /** The point of each slot. */
  readonly #bySlot: BindPoint[] = [];
  /** False where sockets in the container cannot be bound to its loopback interface, only to its addresses. */
  hasLoopbackDevice = true;

  /** Where a rule listens, but for sockets that were handed in. */
  ofRule(rule: PortRule): BindPoint[] {
    const { pif, protocol, listen, device } = rule;
    if (pif === Pif.Host || this.hasLoopbackDevice) return [this.#get(pif, protocol, listen, device)];
    const isAny = listen === undefined || isUnspecified(listen);
    if (!isAny) return [this.#get(pif, protocol, listen, undefined)];
    const addresses =
      listen === undefined ? [LOOPBACK_4, LOOPBACK_6] : [isIpv4(listen) ? LOOPBACK_4 : LOOPBACK_6];
    return addresses.map((address) => this.#get(pif, protocol, address, undefined));
  }

  ofHandedIn(handedIn: HandedIn): BindPoint {
    const { protocol, address, device } = handedIn;
    return this.#get(Pif.Host, protocol, address, device, handedIn);
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

  #get(
    pif: Pif,
    protocol: number,
    address: Address | undefined,
    device: string | undefined,
    handedIn?: HandedIn,
  ): BindPoint {
    const where = address === undefined ? "*" : formatIp(address);
    const key = [pif, protocol, where, device ?? "", handedIn?.fd ?? ""].join(" ");
    const known = this.#points.get(key);
    if (known !== undefined) return known;
    const point = { pif, protocol, address, device, handedIn, slots: new Map<number, ListenerSlot>() };
    this.#points.set(key, point);
    return point;
  }
}
