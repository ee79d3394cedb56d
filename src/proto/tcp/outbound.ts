/**
 * A connection from the container: its SYN becomes a connect of a host socket, and the container gets
 * its SYN-ACK only when the far side has accepted. So a refusal, a time-out and a missing route look inside as
 * they do outside.
 */
import { isLoopback, isUnicast } from "../../base/address.ts";
import { Count } from "../../base/counters.ts";
import { FlowType, Pif } from "../../flow/state.ts";
import {
  INITIATING,
  isMapped,
  NO_FLOW,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
} from "../../flow/table.ts";
import { familyRules, outboundTarget } from "../../forward/address-rules.ts";
import { RateLimit } from "../../log/rate-limit.ts";
import { seqAdd } from "../../wire/sequence.ts";
import { tcpAcknowledgment, TcpFlag } from "../../wire/tcp.ts";
import { sendUnreachable } from "../icmp-errors.ts";
import { EpollEvent, Errno } from "../linux.ts";
import type { Net } from "../net.ts";
import type { Output } from "../output.ts";
import { type Connections, Event, Flag } from "./connections.ts";
import { beginRow, chooseSequence, establish, IDLE_MS, readSyn } from "./syn.ts";
import type { ToTap } from "./to-tap.ts";

export class Outbound {
  readonly #net: Net;
  readonly #output: Output;
  readonly #view: DataView;
  readonly #c: Connections;
  readonly #toTap: ToTap;
  /** The container can bring these about at will. */
  readonly #warnings = new RateLimit();
  /** Ends a connection; with `abort` the host's peer sees a reset. */
  readonly #close: (flow: FlowIndex, abort: boolean) => void;

  constructor(
    net: Net,
    output: Output,
    connections: Connections,
    toTap: ToTap,
    close: (flow: FlowIndex, abort: boolean) => void,
  ) {
    this.#net = net;
    this.#output = output;
    this.#view = net.host.arena.view;
    this.#c = connections;
    this.#toTap = toTap;
    this.#close = close;
  }

  /** The container wants a new connection: the key holds its tuple, the SYN is at `at`. */
  open(at: number): void {
    const { flows, counters, host, rules } = this.#net;
    const ports = flows.key[SideWord.Ports];
    if (ports >>> 16 === 0 || (ports & 0xffff) === 0) return counters.add(Count.dropPort);
    if (!isUnicast(flows.key, SideWord.Ours) || !isUnicast(flows.key, SideWord.Endpoint)) {
      return counters.add(Count.dropIpAddress);
    }
    const flow = flows.allocate();
    if (flow === NO_FLOW) {
      counters.add(Count.dropFlowTableFull);
      return this.#warn("no room for another flow: connections are dropped until others end (see --flows)");
    }
    flows.initiate(flow);
    outboundTarget(rules, flows.key, false);
    flows.target(flow);
    flows.setType(flow, FlowType.Tcp);
    const words = wordsOf((flow << 1) | TARGET);
    const fd = host.openTcp(!isMapped(flows.sides, words + SideWord.Endpoint), Pif.Host);
    if (fd < 0) {
      flows.cancel(flow);
      counters.add(Count.dropSocketLimit);
      return this.#warn("no further socket can be opened: connections are dropped (see ulimit -n)", -fd);
    }
    beginRow(this.#net, this.#c, flow, Event.Connecting);
    readSyn(this.#net, this.#c, flow, at);
    const result = this.#connect(flow, fd);
    if (result < 0 && result !== -Errno.EINPROGRESS) {
      host.close(fd);
      counters.add(Count.dropConnectFailed);
      this.#refuse(flow, -result);
      return flows.cancel(flow);
    }
    this.#net.socket[flow] = fd;
    flows.hash(flow, INITIATING);
    chooseSequence(this.#net, this.#c, flow);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    this.#net.timers.arm(flow, host.nowMs + IDLE_MS);
    const watched = host.watch(fd, (flow << 1) | TARGET);
    if (watched < 0) return this.#close(flow, true);
    if (result >= 0) this.connected(flow, EpollEvent.Out);
  }

  #warn(message: string, errno?: number): void {
    const { log, host } = this.#net;
    this.#warnings.warn(log, host.nowMs, message, "errno", errno);
  }

  #connect(flow: FlowIndex, fd: number): number {
    const { flows, host, rules } = this.#net;
    const words = wordsOf((flow << 1) | TARGET);
    const family = familyRules(rules, !isMapped(flows.sides, words + SideWord.Endpoint));
    if (!isLoopback(flows.sides, words + SideWord.Endpoint)) {
      if (family.outboundInterface !== undefined) {
        const bound = host.bindToDevice(fd, family.outboundInterface);
        if (bound < 0) return bound;
      }
      if (family.outbound !== undefined) {
        const bound = host.bind(fd, flow);
        if (bound < 0) return bound;
      }
    }
    return host.connect(fd, flow);
  }

  /** The host's connect has ended, well or not. */
  connected(flow: FlowIndex, events: number): void {
    const c = this.#c;
    const { host, socket } = this.#net;
    if ((events & (EpollEvent.Error | EpollEvent.Hangup)) !== 0) {
      const error = host.takeError(socket[flow]);
      if (error !== Errno.ECONNRESET) {
        this.#net.counters.add(Count.dropConnectFailed);
        this.#refuse(flow, error);
        return this.#close(flow, false);
      }
      // Accepted, and broken off before we looked: inside, the one comes before the other too.
      c.flags[flow] |= Flag.Reset;
    } else if ((events & EpollEvent.Out) === 0) return;
    c.events[flow] = Event.SynAckSent;
    this.#toTap.syn(flow);
  }

  /** Makes a failed connect look inside as it does outside. */
  #refuse(flow: FlowIndex, error: number): void {
    const c = this.#c;
    const isn = seqAdd(c.rcvNxt[flow], -1);
    // The container's own time-out runs as long as the host's did; there is nothing to add.
    if (error === Errno.ETIMEDOUT) return;
    if (error === Errno.EHOSTUNREACH || error === Errno.ENETUNREACH) {
      return sendUnreachable(this.#net, this.#output, flow, error, isn);
    }
    const words = wordsOf((flow << 1) | INITIATING);
    this.#toTap.resetUnknown(words, 0, c.rcvNxt[flow], TcpFlag.Rst | TcpFlag.Ack);
  }

  /** The third segment of the handshake; false if it is not. */
  established(flow: FlowIndex, at: number, flags: number): boolean {
    const c = this.#c;
    const { counters } = this.#net;
    if ((flags & TcpFlag.Syn) !== 0) {
      // The container uses the port anew. It will reset what it cannot make sense of, and then ask again.
      counters.add(Count.dropTcpOutOfWindow);
      this.#toTap.ack(flow);
      return false;
    }
    if ((flags & TcpFlag.Ack) === 0) {
      counters.add(Count.dropTcpHeader);
      return false;
    }
    const ack = tcpAcknowledgment(this.#view, at);
    if (ack !== c.sndNxt[flow]) {
      // RFC 9293 section 3.10.7.4, SYN-RECEIVED.
      counters.add(Count.dropTcpOutOfWindow);
      this.#toTap.resetUnknown(wordsOf((flow << 1) | INITIATING), ack, 0, TcpFlag.Rst);
      return false;
    }
    establish(c, flow);
    return true;
  }
}
