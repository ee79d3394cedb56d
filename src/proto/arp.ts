/**
 * ARP. The container finds everybody here: every address that is not its own is answered with our MAC address,
 * for the whole world is behind it.
 */
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
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";

export class Arp implements Upper {
  readonly #net: Net;
  readonly #output: Output;
  readonly #sender = new Uint8Array(6);

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#output = output;
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
    const reply = this.#output.payloadAt;
    writeArp(view, reply, ArpOperation.Reply, link.ourMac, target, this.#sender, sender);
    this.#output.ethernet(this.#sender, EtherType.Arp, ARP_LENGTH);
  }

  #isAssigned(address: number): boolean {
    for (const assigned of this.#net.link.v4.assigned) if (assigned[3] === address) return true;
    return false;
  }
}
