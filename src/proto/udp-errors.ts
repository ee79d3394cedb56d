/** Errors of the host sockets of UDP flows, told to the container as ICMP. */
import type { FlowIndex } from "../flow/table.ts";
import { relayUdpError, sendUdpError } from "./icmp-errors.ts";
import { Errno, ErrorOrigin } from "./linux.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";
import type { UdpFlows } from "./udp-flows.ts";

/** Errors read in one go; a queue holds a few hundred at most. */
const ERRORS_AT_ONCE = 256;

/** What `drain` found. */
export const Drained = {
  Error: 1,
  /** The host itself found a datagram too large for its MTU. */
  TooBig: 2,
} as const;

/** Called for an error that means that the peer will not answer. */
export type Unanswered = (flow: FlowIndex) => void;

export class UdpErrors {
  readonly #net: Net;
  readonly #output: Output;
  readonly #flows: UdpFlows;
  readonly #unanswered: Unanswered;

  constructor(net: Net, output: Output, flows: UdpFlows, unanswered: Unanswered) {
    this.#net = net;
    this.#output = output;
    this.#flows = flows;
    this.#unanswered = unanswered;
  }

  /**
   * Takes all errors of the flow's socket and relays them. `[payloadAt, payloadAt + payloadLength)` is the datagram
   * that is being sent, which local errors are about. Returns bits of Drained.
   */
  drain(flow: FlowIndex, payloadAt: number, payloadLength: number): number {
    const { host, socket } = this.#net;
    let drained = 0;
    for (let i = 0; i < ERRORS_AT_ONCE && host.readError(socket[flow]) > 0; i++) {
      drained |= Drained.Error;
      const { errno, origin, info } = host.error;
      if (origin === ErrorOrigin.Local) {
        if (errno === Errno.EMSGSIZE) drained |= Drained.TooBig;
        sendUdpError(this.#net, this.#output, flow, errno, info, payloadAt, payloadLength);
      } else {
        relayUdpError(this.#net, this.#output, flow);
      }
      if (errno !== Errno.EMSGSIZE) this.#unanswered(flow);
    }
    if (host.takeError(socket[flow]) > 0) drained |= Drained.Error;
    if (drained !== 0) this.#flows.emptyErrors[flow] = 0;
    return drained;
  }

  /** Tells the container that the host refused to send this datagram. */
  refused(flow: FlowIndex, errno: number, payloadAt: number, payloadLength: number): void {
    sendUdpError(this.#net, this.#output, flow, errno, 0, payloadAt, payloadLength);
    this.#unanswered(flow);
  }
}
