/** Errors of sockets that carry UDP flows: told to the container as ICMP, or the end of a flow past the TAP. */
import { packKind, SideWord, type FlowIndex, type SideIndex } from "../flow/table.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import { relayUdpError, sendUdpError } from "./icmp-errors.ts";
import { Errno, ErrorOrigin } from "./linux.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";
import { isSpliced } from "./sides.ts";
import { NO_SLOT, type UdpFlows } from "./udp-flows.ts";

/** Errors read in one go; a queue holds a few hundred at most. */
const ERRORS_AT_ONCE = 256;

/** What `drain` found. */
export const Drained = {
  Error: 1,
  /** The host itself found a datagram too large for its MTU. */
  TooBig: 2,
} as const;

/** Called for an error that means that the peer will not answer. True when the container need not be told. */
export type Unanswered = (flow: FlowIndex) => boolean;

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
   * Takes all errors of the socket that sends for a side and relays them; the flow may have ended then.
   * `[payloadAt, payloadAt + payloadLength)` is the datagram that is being sent, which local errors are about. Returns
   * bits of Drained.
   */
  drain(side: SideIndex, payloadAt: number, payloadLength: number): number {
    const { host, listeners, socket } = this.#net;
    const flow = side >> 1;
    const slot = this.#flows.listenerOf(side);
    // The queue of a listener tells of other flows too: it is for `drainListener`, when nothing is being sent.
    if (slot !== NO_SLOT) return host.takeError(listeners.fd(slot)) > 0 ? Drained.Error : 0;
    let drained = 0;
    for (let i = 0; i < ERRORS_AT_ONCE && socket[flow] >= 0 && host.readError(socket[flow]) > 0; i++) {
      drained |= Drained.Error;
      const { errno, origin } = host.error;
      if (origin === ErrorOrigin.Local && errno === Errno.EMSGSIZE) drained |= Drained.TooBig;
      this.#tell(flow, payloadAt, payloadLength);
    }
    if (socket[flow] >= 0 && host.takeError(socket[flow]) > 0) drained |= Drained.Error;
    if (drained !== 0) this.#flows.emptyErrors[flow] = 0;
    return drained;
  }

  /** Takes all errors of a listener and relays them to the flows of the datagrams that they are about. */
  drainListener(slot: ListenerSlot): void {
    const { flows, host, listeners } = this.#net;
    for (let i = 0; i < ERRORS_AT_ONCE; i++) {
      // It may have been closed since its event, or with the last flow of a listener without a rule.
      const fd = listeners.fd(slot);
      if (fd < 0 || host.readError(fd) <= 0) return;
      flows.key[SideWord.Kind] = packKind(IpProtocol.Udp, listeners.pif(slot));
      const side = flows.lookup();
      if (side >= 0) this.#tell(side >> 1, 0, 0);
    }
  }

  /** Tells the container that the host refused to send this datagram. */
  refused(flow: FlowIndex, errno: number, payloadAt: number, payloadLength: number): void {
    if (this.#unanswered(flow)) return;
    sendUdpError(this.#net, this.#output, flow, errno, 0, payloadAt, payloadLength);
  }

  #tell(flow: FlowIndex, payloadAt: number, payloadLength: number): void {
    const { errno, origin, info } = this.#net.host.error;
    if (errno === Errno.EMSGSIZE ? isSpliced(this.#net.flows, flow) : this.#unanswered(flow)) return;
    if (origin !== ErrorOrigin.Local) relayUdpError(this.#net, this.#output, flow);
    else sendUdpError(this.#net, this.#output, flow, errno, info, payloadAt, payloadLength);
  }
}
