/**
 * A connection from outside: the host's kernel has accepted it already, so our SYN asks the container's kernel to do
 * the same. A container that refuses, or does not answer, becomes a reset for the client. What the client says in the
 * meantime waits in the host socket.
 */
import { Count } from "../../base/counters.ts";
import { FlowType } from "../../flow/state.ts";
import { INITIATING, TARGET, wordsOf, type FlowIndex } from "../../flow/table.ts";
import { seqAdd } from "../../wire/sequence.ts";
import { tcpAcknowledgment, TcpFlag, tcpFlags } from "../../wire/tcp.ts";
import type { Fd } from "../host.ts";
import type { Net } from "../net.ts";
import { type Connections, Event, Flag } from "./connections.ts";
import { beginRow, chooseSequence, establish, readSyn } from "./syn.ts";
import { SYN_WINDOW, type ToTap } from "./to-tap.ts";

const SYN_ACK = TcpFlag.Syn | TcpFlag.Ack;

export class Inbound {
  readonly #net: Net;
  readonly #view: DataView;
  readonly #c: Connections;
  readonly #toTap: ToTap;
  /** Ends a connection; with `abort` the host's peer sees a reset. */
  readonly #close: (flow: FlowIndex, abort: boolean) => void;

  constructor(
    net: Net,
    connections: Connections,
    toTap: ToTap,
    close: (flow: FlowIndex, abort: boolean) => void,
  ) {
    this.#net = net;
    this.#view = net.host.arena.view;
    this.#c = connections;
    this.#toTap = toTap;
    this.#close = close;
  }

  /** Takes an accepted socket; the flow is in state TGT, its target the TAP. */
  accepted(flow: FlowIndex, fd: Fd): void {
    const { flows, host, counters, socket } = this.#net;
    flows.setType(flow, FlowType.Tcp);
    host.preparePeek(fd);
    beginRow(this.#net, this.#c, flow, Event.SynSent);
    socket[flow] = fd;
    flows.hash(flow, TARGET);
    chooseSequence(this.#net, this.#c, flow);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    if (host.watch(fd, (flow << 1) | INITIATING) < 0) return this.#close(flow, true);
    this.#toTap.syn(flow);
  }

  /**
   * A segment from the container while our SYN is out (RFC 9293 section 3.10.7.3); tells whether it established the
   * connection. Data and a FIN in a SYN-ACK are not taken: not acknowledged, they come again.
   */
  answered(flow: FlowIndex, at: number): boolean {
    const c = this.#c;
    const flags = tcpFlags(this.#view, at);
    const acks = (flags & TcpFlag.Ack) !== 0;
    if (acks && tcpAcknowledgment(this.#view, at) !== c.sndNxt[flow]) {
      this.#rejectAck(flow, at, flags);
      return false;
    }
    if (acks && (flags & TcpFlag.Rst) !== 0) {
      this.#net.counters.add(Count.dropConnectFailed);
      this.#close(flow, true);
      return false;
    }
    // A SYN alone comes from a program that connects from there at the same time. The container's kernel answers our
    // SYN as well, and its SYN-ACK establishes the one connection that both mean.
    if ((flags & (SYN_ACK | TcpFlag.Rst)) !== SYN_ACK) {
      this.#net.counters.add(Count.dropTcpOutOfWindow);
      return false;
    }
    readSyn(this.#net, c, flow, at);
    c.rcvAdvertised[flow] = seqAdd(c.rcvNxt[flow], SYN_WINDOW);
    c.activeAt[flow] = this.#net.host.nowMs;
    establish(c, flow);
    // What the client has said meanwhile carries the acknowledgement; else it goes alone, at the end of the batch.
    c.flags[flow] |= Flag.AckNow;
    return true;
  }

  /**
   * The container acknowledges something that this connection never said: it still knows an earlier one of the same
   * client. The reset ends that, and our SYN finds the way free. Once only: afterwards it keeps to its timer.
   */
  #rejectAck(flow: FlowIndex, at: number, flags: number): void {
    const c = this.#c;
    this.#net.counters.add(Count.dropTcpOutOfWindow);
    if ((flags & TcpFlag.Rst) !== 0) return;
    this.#toTap.resetUnknown(
      wordsOf((flow << 1) | TARGET),
      tcpAcknowledgment(this.#view, at),
      0,
      TcpFlag.Rst,
    );
    if (c.retries[flow] === 0) this.#toTap.retransmitTimeout(flow);
  }
}
