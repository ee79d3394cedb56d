/**
 * Neighbour discovery (RFC 4861). Every address that is not the container's own is answered, with the MAC address that
 * neighbours.ts says.
 * Where the container is to configure itself, we are its router too: asked or not, we say so now and then.
 */
import { isLinkLocal, isUnspecified, networkOf, sameIp } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { SideWord } from "../flow/table.ts";
import {
  isNeighborSolicitationValid,
  isRouterSolicitationValid,
  NDP_HOP_LIMIT,
  NDP_TARGET,
  NdpType,
  NeighborFlag,
  writeNeighborAdvertisement,
  writeNeighborSolicitation,
} from "../wire/ndp.ts";
import { icmp6Type } from "../wire/icmp6.ts";
import {
  type AdvertisedPrefix,
  INFINITE_SECONDS,
  MAXIMUM_ROUTER_SECONDS,
  writeRouterAdvertisement,
} from "../wire/router-advertisement.ts";
import type { Upper } from "./input.ts";
import type { Link } from "./link.ts";
import type { Neighbours } from "./neighbours.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";

/** Unsolicited advertisements: MaxRtrAdvInterval, and a third of it (RFC 4861 section 6.2.1), in milliseconds. */
const INTERVAL_MAX_MS = 600_000;
const INTERVAL_MIN_MS = 200_000;
/** Bits of an address that a host makes itself (RFC 4862). */
const AUTONOMOUS_PREFIX = 64;
/** What fits one advertisement without a larger MTU than every link has. */
const ADVERTISEMENT_BYTES = 1240;

const ALL_NODES = Uint32Array.of(0xff020000, 0, 0, 1);
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

export class Ndp implements Upper {
  readonly #net: Net;
  readonly #output: Output;
  readonly #neighbours: Neighbours;
  /** Random numbers in [0, 1). */
  readonly #random: () => number;
  /** Source and destination of the message being sent, and a target. */
  readonly #addresses = new Uint32Array(12);
  /** When to advertise again, or -1. */
  #advertiseAt = -1;

  constructor(net: Net, output: Output, random: () => number = Math.random) {
    this.#net = net;
    this.#output = output;
    this.#neighbours = output.neighbours;
    this.#random = random;
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
        return this.#routerSolicitation(at, end);
      case NdpType.NeighborAdvertisement:
        // Its MAC address is known from the frame.
        return;
      default:
        counters.add(Count.dropNdp);
    }
  }

  /** Sends the unsolicited advertisement that is due. */
  expire(): void {
    const { host, link } = this.#net;
    if (!link.routerAdvertisements || !link.v6.enabled) {
      this.#advertiseAt = -1;
      return;
    }
    // Not at once: whoever has just come asks.
    if (this.#advertiseAt >= 0 && host.nowMs < this.#advertiseAt) return;
    if (this.#advertiseAt >= 0) this.#advertise(ALL_NODES, 0, ALL_NODES_MAC);
    this.#advertiseAt = host.nowMs + INTERVAL_MIN_MS + this.#random() * (INTERVAL_MAX_MS - INTERVAL_MIN_MS);
  }

  /** Advertises at once when what is advertised has changed. */
  networkChanged(before: Link): void {
    const { link } = this.#net;
    if (!link.routerAdvertisements || !link.v6.enabled) return;
    if (before.mtu !== link.mtu || before.v6.assigned !== link.v6.assigned)
      this.#advertise(ALL_NODES, 0, ALL_NODES_MAC);
  }

  /** Milliseconds until `expire` has something to do, or -1. */
  nextDelay(): number {
    if (this.#advertiseAt < 0) return -1;
    return Math.max(0, Math.ceil(this.#advertiseAt - this.#net.host.nowMs));
  }

  #neighborSolicitation(at: number, end: number): void {
    const { counters, flows, host, link } = this.#net;
    const { view } = host.arena;
    if (!isNeighborSolicitationValid(view, at, end)) return counters.add(Count.dropNdp);
    // Duplicate address detection: nobody else here has what the container wants.
    if (isUnspecified(flows.key, SideWord.Endpoint)) return;
    const addresses = this.#addresses;
    for (let i = 0; i < 4; i++) addresses[8 + i] = view.getUint32(at + NDP_TARGET + 4 * i);
    if (this.#isAssigned(addresses, 8)) return;
    this.#from(flows.key, SideWord.Endpoint);
    const mac = this.#neighbours.tell(addresses, 8);
    this.#advertiseNeighbor(NeighborFlag.Solicited, addresses, 8, mac, link.guestMac);
  }

  /** Tells everybody where an address is (RFC 4861 section 7.2.6). */
  announce(words: Uint32Array, at: number, mac: Uint8Array): void {
    this.#from(ALL_NODES, 0);
    this.#advertiseNeighbor(0, words, at, mac, ALL_NODES_MAC);
  }

  #advertiseNeighbor(
    flags: number,
    words: Uint32Array,
    at: number,
    mac: Uint8Array,
    destinationMac: Uint8Array,
  ): void {
    const { view } = this.#net.host.arena;
    // Everybody passes packets on; who once said so must not take it back (RFC 4861 section 7.2.5).
    const all = NeighborFlag.Router | NeighborFlag.Override | flags;
    this.#send(writeNeighborAdvertisement(view, this.#output.payloadAt, all, words, at, mac), destinationMac);
  }

  /** Asks who has an address, so that whoever has it speaks. */
  ask(address: Uint32Array): void {
    const last = address[3] & 0xffffff;
    // The solicited-node group (RFC 4291 section 2.7.1), and its MAC address (RFC 2464 section 7).
    this.#from(Uint32Array.of(0xff020000, 0, 1, 0xff000000 + last), 0);
    const groupMac = Uint8Array.of(0x33, 0x33, 0xff, last >>> 16, last >>> 8, last);
    const mac = this.#neighbours.of(this.#net.link.v6.ours, 0);
    const { view } = this.#net.host.arena;
    this.#send(writeNeighborSolicitation(view, this.#output.payloadAt, address, 0, mac), groupMac);
  }

  #routerSolicitation(at: number, end: number): void {
    const { counters, flows, host, link } = this.#net;
    if (!isRouterSolicitationValid(host.arena.view, at, end)) return counters.add(Count.dropNdp);
    if (!link.routerAdvertisements) return;
    const key = flows.key;
    // Who has no address yet cannot be answered alone (RFC 4861 section 6.2.6).
    if (isUnspecified(key, SideWord.Endpoint)) this.#advertise(ALL_NODES, 0, ALL_NODES_MAC);
    else this.#advertise(key, SideWord.Endpoint, link.guestMac);
  }

  #advertise(destination: Uint32Array, destinationAt: number, mac: Uint8Array): void {
    const { host, link } = this.#net;
    this.#from(destination, destinationAt);
    const at = this.#output.payloadAt;
    const length = writeRouterAdvertisement(host.arena.view, at, at + ADVERTISEMENT_BYTES, {
      hopLimit: NDP_HOP_LIMIT,
      managed: link.v6.dhcp,
      other: false,
      // No shorter time makes sense: nothing here would notice that the router is gone (RFC 8319).
      lifetimeSeconds: MAXIMUM_ROUTER_SECONDS,
      reachableMs: 0,
      retransmissionMs: 0,
      sourceMac: this.#neighbours.of(link.v6.ours, 0),
      mtu: link.mtu,
      prefixes: this.#prefixes(),
      resolvers: link.advertise.resolvers,
      searchDomains: link.advertise.searchDomains,
      dnsSeconds: INFINITE_SECONDS,
    });
    this.#send(length, mac);
  }

  /** The prefixes of the container's addresses, so that it makes more of them itself. */
  #prefixes(): AdvertisedPrefix[] {
    const prefixes: AdvertisedPrefix[] = [];
    for (const assigned of this.#net.link.v6.assigned) {
      const address = networkOf(assigned, AUTONOMOUS_PREFIX);
      if (isLinkLocal(address) || prefixes.some((prefix) => sameIp(prefix.address, 0, address, 0))) continue;
      prefixes.push({
        address,
        length: AUTONOMOUS_PREFIX,
        onLink: true,
        autonomous: true,
        validSeconds: INFINITE_SECONDS,
        preferredSeconds: INFINITE_SECONDS,
      });
    }
    return prefixes;
  }

  /** The next message goes from us to this address. */
  #from(destination: Uint32Array, destinationAt: number): void {
    const { ours } = this.#net.link.v6;
    for (let i = 0; i < 4; i++) {
      this.#addresses[i] = ours[i];
      this.#addresses[4 + i] = destination[destinationAt + i];
    }
  }

  #send(length: number, mac: Uint8Array): void {
    this.#net.host.arena.view.setUint16(this.#output.payloadAt + 2, 0);
    this.#output.icmpFrom(this.#addresses, 0, 4, true, length, mac);
  }

  #isAssigned(words: Uint32Array, at: number): boolean {
    for (const assigned of this.#net.link.v6.assigned) if (sameIp(assigned, 0, words, at)) return true;
    return false;
  }
}
