/** ICMP and ICMPv6 messages from the container: echo requests go out, neighbour discovery is answered here. */
import { Count } from "../base/counters.ts";
import { Icmp4Type, icmp4Code, icmp4Type, isIcmp4Valid } from "../wire/icmp4.ts";
import { Icmp6Type, icmp6Code, icmp6Type, isIcmp6Valid } from "../wire/icmp6.ts";
import { NdpType } from "../wire/ndp.ts";
import type { Upper } from "./input.ts";
import type { Net } from "./net.ts";
import type { Ping } from "./ping.ts";

export class Icmp4 implements Upper {
  readonly #net: Net;
  readonly #ping: Ping;

  constructor(net: Net, ping: Ping) {
    this.#net = net;
    this.#ping = ping;
  }

  input(at: number, end: number): void {
    const { counters, host } = this.#net;
    const { view } = host.arena;
    if (!isIcmp4Valid(view, at, end)) return counters.add(Count.dropIcmpHeader);
    if (icmp4Type(view, at) === Icmp4Type.EchoRequest && icmp4Code(view, at) === 0) {
      return this.#ping.input(at, end);
    }
    counters.add(Count.dropIcmpType);
  }
}

export class Icmp6 implements Upper {
  readonly #net: Net;
  readonly #ping: Ping;
  readonly #ndp: Upper;

  constructor(net: Net, ping: Ping, ndp: Upper) {
    this.#net = net;
    this.#ping = ping;
    this.#ndp = ndp;
  }

  input(at: number, end: number): void {
    const { counters, host } = this.#net;
    const { view } = host.arena;
    if (!isIcmp6Valid(view, at, end)) return counters.add(Count.dropIcmpHeader);
    const type = icmp6Type(view, at);
    if (type === Icmp6Type.EchoRequest && icmp6Code(view, at) === 0) return this.#ping.input(at, end);
    if (type >= NdpType.RouterSolicitation && type <= NdpType.NeighborAdvertisement) {
      return this.#ndp.input(at, end);
    }
    counters.add(Count.dropIcmpType);
  }
}
