/**
 * Neighbour discovery (RFC 4861). Every address that is not the container's own is answered, with the MAC address that
 * neighbours.ts says. What asks for a router goes to router.ts.
 */
import { IP_WORDS, isUnspecified, sameIp } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { SideWord } from "../flow/table.ts";
import {
  isNeighborSolicitationValid,
  NDP_HOP_LIMIT,
  NDP_TARGET,
  NdpType,
  NeighborFlag,
  writeNeighborAdvertisement,
  writeNeighborSolicitation,
} from "../wire/ndp.ts";
import { icmp6Type } from "../wire/icmp6.ts";
import type { Upper } from "./input.ts";
import { ALL_NODES, ALL_NODES_MAC, NdpOutput } from "./ndp-output.ts";
import type { Neighbours } from "./neighbours.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";
import type { Router } from "./router.ts";

export class Ndp implements Upper {
  readonly #net: Net;
  readonly #output: Output;
  readonly #neighbours: Neighbours;
  readonly #router: Router;
  readonly #ndpOutput: NdpOutput;
  readonly #target = new Uint32Array(IP_WORDS);

  constructor(net: Net, output: Output, router: Router) {
    this.#net = net;
    this.#output = output;
    this.#neighbours = output.neighbours;
    this.#router = router;
    this.#ndpOutput = new NdpOutput(net, output);
  }

  /** Takes a message of RFC 4861 from the container; `flows.key` has its addresses. */
  input(at: number, end: number): void {
    const { counters, host, packet } = this.#net;
    const { view } = host.arena;
    // What has been forwarded was not sent on this link.
    if (packet.hopLimit !== NDP_HOP_LIMIT) return counters.add(Count.dropNdp);
    switch (icmp6Type(view, at)) {
      case NdpType.NeighborSolicitation:
        return this.#neighborSolicitation(at, end);
      case NdpType.RouterSolicitation:
        return this.#router.solicited(at, end);
      case NdpType.NeighborAdvertisement:
        // Its MAC address is known from the frame.
        return;
      default:
        counters.add(Count.dropNdp);
    }
  }

  #neighborSolicitation(at: number, end: number): void {
    const { counters, flows, host, link } = this.#net;
    const { view } = host.arena;
    if (!isNeighborSolicitationValid(view, at, end)) return counters.add(Count.dropNdp);
    // Duplicate address detection: nobody else here has what the container wants.
    if (isUnspecified(flows.key, SideWord.Endpoint)) return;
    const target = this.#target;
    for (let i = 0; i < IP_WORDS; i++) target[i] = view.getUint32(at + NDP_TARGET + 4 * i);
    if (this.#isAssigned(target)) return;
    const length = this.#writeAdvertisement(
      NeighborFlag.Solicited,
      target,
      0,
      this.#neighbours.tell(target, 0),
    );
    this.#ndpOutput.send(link.v6.ours, flows.key, SideWord.Endpoint, link.guestMac, length);
  }

  /** Tells everybody where an address is (RFC 4861 section 7.2.6). */
  announce(words: Uint32Array, at: number, mac: Uint8Array): void {
    const length = this.#writeAdvertisement(0, words, at, mac);
    this.#ndpOutput.send(this.#net.link.v6.ours, ALL_NODES, 0, ALL_NODES_MAC, length);
  }

  #writeAdvertisement(flags: number, words: Uint32Array, at: number, mac: Uint8Array): number {
    const { view } = this.#net.host.arena;
    // Everybody passes packets on; who once said so must not take it back (RFC 4861 section 7.2.5).
    const all = NeighborFlag.Router | NeighborFlag.Override | flags;
    return writeNeighborAdvertisement(view, this.#output.payloadAt, all, words, at, mac);
  }

  /** Asks who has an address, so that whoever has it speaks. */
  ask(address: Uint32Array): void {
    const last = address[3] & 0xffffff;
    // The solicited-node group (RFC 4291 section 2.7.1), and its MAC address (RFC 2464 section 7).
    const group = Uint32Array.of(0xff020000, 0, 1, 0xff000000 + last);
    const groupMac = Uint8Array.of(0x33, 0x33, 0xff, last >>> 16, last >>> 8, last);
    const { host, link } = this.#net;
    const mac = this.#neighbours.of(link.v6.ours, 0);
    const length = writeNeighborSolicitation(host.arena.view, this.#output.payloadAt, address, 0, mac);
    this.#ndpOutput.send(link.v6.ours, group, 0, groupMac, length);
  }

  #isAssigned(words: Uint32Array): boolean {
    return this.#net.rules.v6.assigned.some((assigned) => sameIp(assigned, 0, words, 0));
  }
}
