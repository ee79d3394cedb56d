/** How messages of neighbour discovery (RFC 4861) leave. */
import { copyIp } from "../base/address.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";

/** Everybody on the link, and their MAC address (RFC 2464 section 7). */
export const ALL_NODES = Uint32Array.of(0xff020000, 0, 0, 1);
export const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

export class NdpOutput {
  readonly #net: Net;
  readonly #output: Output;
  /** Source and destination of the message being sent. */
  readonly #addresses = new Uint32Array(8);

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#output = output;
  }

  /** Sends the message of `length` bytes that is at `Output.payloadAt`, to the address at `at` of `destination`. */
  send(source: Uint32Array, destination: Uint32Array, at: number, mac: Uint8Array, length: number): void {
    copyIp(this.#addresses, 0, source, 0);
    copyIp(this.#addresses, 4, destination, at);
    this.#net.host.arena.view.setUint16(this.#output.payloadAt + 2, 0);
    this.#output.icmpFrom(this.#addresses, 0, 4, true, length, mac);
  }
}
