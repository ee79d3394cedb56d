/**
 * A connection from the container: its SYN becomes a connect of a host socket, and the container gets
 * its SYN-ACK only when the far side has accepted. So a refusal, a time-out and a missing route look inside as
 * they do outside. For what stands for the host's resolvers, one of them after the other is tried before.
 */
import { isLoopback, isUnicast } from "../../base/address.ts";
import { Count } from "../../base/counters.ts";
import { FlowType, Pif } from "../../flow/state.ts";
import {
  copySide,
  INITIATING,
  isMapped,
  NO_FLOW,
  oursPort,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
} from "../../flow/table.ts";
import { DNS_PORTS, familyRules, isDnsForward, outboundTarget } from "../../forward/address-rules.ts";
import { NO_SERVER, Resolvers, serverBit } from "../../forward/resolvers.ts";
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

/** How long a resolver may take to accept before the next one is tried: a client has more patience than for all. */
const PATIENCE_MS = 2_000;

export class Outbound {
  readonly #net: Net;
  readonly #output: Output;
  readonly #view: DataView;
  readonly #c: Connections;
  readonly #toTap: ToTap;
  /** The container can bring these about at will. */
  readonly #warnings = new RateLimit();
  /** By port: whoever serves the one need not serve the other. */
  readonly #resolvers: ReadonlyMap<number, Resolvers>;
  /** How many resolvers a connection was tried with; 0 when it is not for them. */
  readonly #tries: Uint8Array;
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
    this.#resolvers = new Map(DNS_PORTS.map((port) => [port, new Resolvers(net.rules)]));
    this.#tries = new Uint8Array(net.flows.capacity);
  }

  /** The container wants a new connection: the key holds its tuple, the SYN is at `at`. */
  open(at: number): void {
    const { flows, counters } = this.#net;
    const ports = flows.key[SideWord.Ports];
    if (ports >>> 16 === 0 || (ports & 0xffff) === 0) return counters.add(Count.dropPort);
    if (!isUnicast(flows.key, SideWord.Ours) || !isUnicast(flows.key, SideWord.Endpoint)) {
      return counters.add(Count.dropIpAddress);
    }
    this.#try(0, NO_SERVER, (flow) => {
      beginRow(this.#net, this.#c, flow, Event.Connecting);
      readSyn(this.#net, this.#c, flow, at);
    });
  }

  /**
   * Starts to connect for the TAP side in `flows.key`.
   * @param tries how many resolvers have been tried for it
   * @param last the one that was tried last, which is not wanted
   * @param fillRow fills the columns of the new flow
   */
  #try(tries: number, last: number, fillRow: (flow: FlowIndex) => void): void {
    const { flows, counters, host, rules } = this.#net;
    const flow = flows.allocate();
    if (flow === NO_FLOW) {
      counters.add(Count.dropFlowTableFull);
      return this.#warn("no room for another flow: connections are dropped until others end (see --flows)");
    }
    flows.initiate(flow);
    const isForResolver = isDnsForward(familyRules(rules, !isMapped(flows.key, SideWord.Ours)), flows.key);
    const server = isForResolver ? this.#resolversOf(flow).next(serverBit(last), host.nowMs) : NO_SERVER;
    outboundTarget(rules, flows.key, false, server);
    flows.target(flow);
    flows.setType(flow, FlowType.Tcp);
    const words = wordsOf((flow << 1) | TARGET);
    const fd = host.openTcp(!isMapped(flows.sides, words + SideWord.Endpoint), Pif.Host);
    if (fd < 0) {
      flows.cancel(flow);
      counters.add(Count.dropSocketLimit);
      return this.#warn("no further socket can be opened: connections are dropped (see ulimit -n)", -fd);
    }
    fillRow(flow);
    this.#tries[flow] = isForResolver ? tries + 1 : 0;
    const result = this.#connect(flow, fd);
    this.#net.socket[flow] = fd;
    flows.hash(flow, INITIATING);
    chooseSequence(this.#net, this.#c, flow);
    flows.activate(flow);
    counters.add(Count.flowsOpened);
    this.#net.timers.arm(flow, host.nowMs + (isForResolver ? PATIENCE_MS : IDLE_MS));
    if (result < 0 && result !== -Errno.EINPROGRESS) return this.#failed(flow, -result);
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
      if (error !== Errno.ECONNRESET) return this.#failed(flow, error);
      // Accepted, and broken off before we looked: inside, the one comes before the other too.
      c.flags[flow] |= Flag.Reset;
    } else if ((events & EpollEvent.Out) === 0) return;
    c.events[flow] = Event.SynAckSent;
    this.#toTap.syn(flow);
  }

  /** A connection under way has its timer run out. True when it was for a resolver, and is taken care of. */
  overdue(flow: FlowIndex): boolean {
    if (this.#tries[flow] === 0) return false;
    const { host, timers } = this.#net;
    if (!this.#tryNext(flow)) timers.arm(flow, host.nowMs + PATIENCE_MS);
    return true;
  }

  #failed(flow: FlowIndex, error: number): void {
    if (this.#tryNext(flow)) return;
    this.#net.counters.add(Count.dropConnectFailed);
    this.#refuse(flow, error);
    this.#close(flow, false);
  }

  /** Has another resolver tried in the place of one that does not accept; false when there is none. */
  #tryNext(flow: FlowIndex): boolean {
    if (this.#tries[flow] === 0) return false;
    const { flows, host, rules } = this.#net;
    const { key, sides } = flows;
    const resolvers = this.#resolversOf(flow);
    const last = resolvers.indexOf(sides, wordsOf((flow << 1) | TARGET) + SideWord.Endpoint);
    if (last !== NO_SERVER) resolvers.failed(last, host.nowMs);
    // One that is not on the list any more does not count.
    const tries = last === NO_SERVER ? 0 : this.#tries[flow];
    if (tries >= rules.dnsServers.length || resolvers.next(serverBit(last), host.nowMs) === NO_SERVER)
      return false;
    // Its row is left alone until the end of the cycle.
    this.#close(flow, true);
    copySide(key, 0, sides, wordsOf(flow << 1));
    this.#try(tries, last, (next) => {
      this.#c.copy(next, flow);
      this.#c.events[next] = Event.Connecting;
    });
    return true;
  }

  #resolversOf(flow: FlowIndex): Resolvers {
    return this.#resolvers.get(oursPort(this.#net.flows.sides, wordsOf(flow << 1)))!;
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
