/**
 * The services that tell programs in the container how to configure its interface. They come before UDP: what is
 * asked here never leaves the link.
 */
import { UDP_LENGTH, isUdpValid, udpDestinationPort, udpLength } from "../wire/udp.ts";
import { DHCP4_SERVER_PORT } from "../wire/dhcp4.ts";
import { DHCP6_SERVER_PORT } from "../wire/dhcp6.ts";
import { Dhcp4 } from "./dhcp4.ts";
import { Dhcp6 } from "./dhcp6.ts";
import type { Taker } from "./input.ts";
import type { Link } from "./link.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";

/** A server for datagrams to one port. `flows.key` has the addresses of the datagram. */
export interface DhcpServer {
  /** Whether it is on, and the datagram for it. */
  isAsked(): boolean;
  /** Takes a payload. */
  input(at: number, end: number): void;
}

export class Dhcp implements Taker {
  readonly #view: DataView;
  readonly #dhcp4: Dhcp4;
  readonly #dhcp6: DhcpServer;

  constructor(net: Net, output: Output) {
    this.#view = net.host.arena.view;
    this.#dhcp4 = new Dhcp4(net, output);
    this.#dhcp6 = new Dhcp6(net, output);
  }

  /** @param before the link as it was */
  networkChanged(before: Link): void {
    this.#dhcp4.networkChanged(before);
  }

  take(at: number, end: number): boolean {
    const view = this.#view;
    if (!isUdpValid(view, at, end)) return false;
    const server = this.#serverAt(udpDestinationPort(view, at));
    if (server === undefined || !server.isAsked()) return false;
    server.input(at + UDP_LENGTH, at + udpLength(view, at));
    return true;
  }

  #serverAt(port: number): DhcpServer | undefined {
    if (port === DHCP4_SERVER_PORT) return this.#dhcp4;
    return port === DHCP6_SERVER_PORT ? this.#dhcp6 : undefined;
  }
}
