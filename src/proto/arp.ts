/**
 * ARP. The container finds everybody here: every address that is not its own is answered, for the whole world is
 * behind us. Whose MAC address it is says neighbours.ts.
 */
import { ipv4Words } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import {
  ARP_LENGTH,
  ArpOperation,
  ARP_SENDER_MAC,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  isArpValid,
  writeArp,
} from "../wire/arp.ts";
import { EtherType } from "../wire/ethernet.ts";
import type { Upper } from "./input.ts";
import type { Neighbours } from "./neighbours.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";

const BROADCAST_MAC = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
const NO_MAC = new Uint8Array(6);

export class Arp implements Upper {
  readonly #net: Net;
  readonly #output: Output;
  readonly #neighbours: Neighbours;
  readonly #sender = new Uint8Array(6);
  readonly #target = ipv4Words(0);

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#output = output;
    this.#neighbours = output.neighbours;
  }

  /** Tells everybody where an address is (RFC 5227 section 3, "announcement"). */
  announce(address: number, mac: Uint8Array): void {
    this.#send(ArpOperation.Request, mac, address, NO_MAC, address, BROADCAST_MAC);
  }

  /** Asks who has an address, so that whoever has it speaks. */
  ask(address: number): void {
    const { ours } = this.#net.link.v4;
    this.#send(ArpOperation.Request, this.#neighbours.of(ours, 0), ours[3], NO_MAC, address, BROADCAST_MAC);
  }

  input(at: number, end: number): void {
    const { counters, host, link } = this.#net;
    const { view, bytes } = host.arena;
    if (!link.v4.enabled) return counters.add(Count.dropFamilyOff);
    if (!isArpValid(view, at, end)) return counters.add(Count.dropArp);
    // What others answer, and what the container says of itself, needs no answer.
    const sender = arpSenderIp(view, at);
    const target = arpTargetIp(view, at);
    if (arpOperation(view, at) !== ArpOperation.Request || sender === target) return;
    // Answering for its own addresses would be a conflict to the container that probes for one (RFC 5227).
    if (this.#isAssigned(target)) return;
    for (let i = 0; i < 6; i++) this.#sender[i] = bytes[at + ARP_SENDER_MAC + i];
    this.#target[3] = target;
    const mac = this.#neighbours.tell(this.#target, 0);
    this.#send(ArpOperation.Reply, mac, target, this.#sender, sender, this.#sender);
  }

  #send(
    operation: number,
    senderMac: Uint8Array,
    sender: number,
    targetMac: Uint8Array,
    target: number,
    destinationMac: Uint8Array,
  ): void {
    const at = this.#output.payloadAt;
    writeArp(this.#net.host.arena.view, at, operation, senderMac, sender, targetMac, target);
    this.#output.ethernet(destinationMac, senderMac, EtherType.Arp, ARP_LENGTH);
  }

  #isAssigned(address: number): boolean {
    for (const assigned of this.#net.rules.v4.assigned) if (assigned[3] === address) return true;
    return false;
  }
}
