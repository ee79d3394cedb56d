/**
 * UDP. A flow has a connected socket where we speak first: to the host for a conversation of the container, whose
 * source port it keeps where it can, and past the TAP to the target of a client. Clients from outside are received
 * and answered through the listener at which they arrived. Datagrams that follow each other leave in trains. See
 * udp-open.ts, udp-send.ts, udp-receive.ts, udp-errors.ts, udp-flows.ts.
 *
 * Datagrams to a group or to everybody go out, but a connected socket hears nothing from others: answers to
 * discovery (SSDP, mDNS) do not come in.
 */
import { Count } from "../base/counters.ts";
import { FlowType, Pif } from "../flow/state.ts";
import {
  oursPort,
  packPorts,
  sidePif,
  SideWord,
  TARGET,
  wordsOf,
  type FlowIndex,
  type SideIndex,
} from "../flow/table.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { Resolvers } from "../forward/resolvers.ts";
import { isUdpValid, UDP_LENGTH, udpDestinationPort, udpLength, udpSourcePort } from "../wire/udp.ts";
import { Batch } from "./batch.ts";
import type { Fd } from "./host.ts";
import type { Upper } from "./input.ts";
import { EpollEvent } from "./linux.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";
import { hostSide, isSpliced } from "./sides.ts";
import type { FlowHandler } from "./stack.ts";
import { UdpErrors } from "./udp-errors.ts";
import { DontFragment, NO_SLOT, UdpFlows } from "./udp-flows.ts";
import { UdpOpener } from "./udp-open.ts";
import { Questions } from "./udp-questions.ts";
import { UdpReceiver } from "./udp-receive.ts";
import { UdpSender } from "./udp-send.ts";

/** Error events without an error after which a flow ends, before it eats all our time. */
const EMPTY_ERRORS = 8;
/** Datagrams in one frame at most (UDP_MAX_SEGMENTS, linux/udp.h). */
const FRAME_DATAGRAMS = 128;

export class Udp implements Upper, FlowHandler {
  readonly #net: Net;
  readonly #view: DataView;
  readonly #flows: UdpFlows;
  readonly #batch: Batch;
  readonly #errors: UdpErrors;
  readonly #sender: UdpSender;
  readonly #opener: UdpOpener;
  readonly #receiver: UdpReceiver;
  readonly #resolvers: Resolvers;
  readonly #questions: Questions;

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#view = net.host.arena.view;
    this.#batch = new Batch(net.flows.capacity);
    const flows = new UdpFlows(net);
    const errors = new UdpErrors(net, output, flows, (flow) => this.#unanswered(flow));
    const sender = new UdpSender(net, flows, errors);
    this.#resolvers = new Resolvers(net.rules);
    const opener = new UdpOpener(net, flows, errors, this.#resolvers);
    const questions = new Questions(net, this.#resolvers, (server, at, length) => {
      const flow = opener.askedAgain(server);
      if (flow < 0) return false;
      sender.send(hostSide(net.flows, flow), at, length, 0);
      return true;
    });
    this.#flows = flows;
    this.#errors = errors;
    this.#sender = sender;
    this.#opener = opener;
    this.#questions = questions;
    this.#receiver = new UdpReceiver(net, output, { flows, errors, sender, opener, questions });
  }

  /** Takes a datagram from the container; it leaves at `endOfFrames`. */
  input(at: number, end: number): void {
    const { counters, flows, packet } = this.#net;
    if (!isUdpValid(this.#view, at, end)) return counters.add(Count.dropUdpHeader);
    const payloadAt = at + UDP_LENGTH;
    const length = udpLength(this.#view, at) - UDP_LENGTH;
    if (packet.segment > 0 && length > packet.segment * FRAME_DATAGRAMS) {
      return counters.add(Count.dropUdpHeader);
    }
    flows.key[SideWord.Ports] = packPorts(udpDestinationPort(this.#view, at), udpSourcePort(this.#view, at));
    const from = this.#find(payloadAt, length);
    if (from < 0) return;
    const flow = from >> 1;
    this.#flows.note(from);
    this.#applyOptions(flow);
    if (packet.segment === 0 || length <= packet.segment) {
      if (this.#flows.isDns[flow] !== 0) this.#questions.keep(flow, payloadAt, length);
      return this.#batch.append(flow, payloadAt, length);
    }
    // A train as the container sent it.
    this.#flush(flow);
    this.#sender.send(from ^ 1, payloadAt, length, packet.segment);
  }

  /** Sends the datagrams of the batch. */
  endOfFrames(): void {
    const batch = this.#batch;
    for (let i = 0; i < batch.touchedCount; i++) this.#flush(batch.touched[i]);
    batch.clear();
  }

  socketEvent(side: SideIndex, events: number): void {
    const flow = side >> 1;
    if ((events & EpollEvent.Error) !== 0 && this.#errors.drain(side, 0, 0) === 0) {
      if (++this.#flows.emptyErrors[flow] >= EMPTY_ERRORS) return this.#flows.close(flow);
    }
    if ((events & ~EpollEvent.Error) !== 0) this.#receiver.ready(flow);
  }

  /** Handles what epoll reported of a listener. */
  listenerEvent(slot: ListenerSlot, events: number): void {
    if ((events & EpollEvent.Error) !== 0) this.#errors.drainListener(slot);
    if ((events & ~EpollEvent.Error) !== 0) this.#receiver.listenerReady(slot);
  }

  /** There are sockets in the container's network namespace again. */
  insideReady(): void {
    this.#receiver.insideReady();
  }

  /** Receives from sockets that are readable, each within a budget. */
  service(): void {
    this.#receiver.service();
  }

  get isBusy(): boolean {
    return this.#receiver.isBusy;
  }

  /** Sockets of flows that have a port of the host. Looks at all flows. */
  socketsAt(port: number): Fd[] {
    const { flows, socket } = this.#net;
    const fds: Fd[] = [];
    flows.forEach((flow) => {
      const words = wordsOf((flow << 1) | TARGET);
      const isThere = oursPort(flows.sides, words) === port && sidePif(flows.sides, words) === Pif.Host;
      if (isThere && flows.type[flow] === FlowType.Udp && socket[flow] >= 0) fds.push(socket[flow]);
    });
    return fds;
  }

  /** Asks questions again that nobody has answered. */
  expire(): void {
    this.#questions.expire();
  }

  /** Milliseconds until `expire` has something to do, or -1. */
  nextDelay(): number {
    return this.#questions.nextDelay();
  }

  timer(flow: FlowIndex): void {
    const { host, timers } = this.#net;
    const columns = this.#flows;
    const deadline = columns.deadline(flow);
    if (host.nowMs >= deadline) columns.close(flow);
    else timers.arm(flow, deadline);
  }

  /** The TAP side in `flows.key`, that of a new flow if need be; negative when there is none. */
  #find(payloadAt: number, length: number): SideIndex {
    const { flows } = this.#net;
    const side = flows.lookup();
    if (side >= 0) {
      if (!this.#isOutdated(side >> 1)) return side;
      // It stays, for late answers to what it has asked.
      flows.unhash(side >> 1, side & 1);
    }
    return this.#opener.outbound(payloadAt, length) * 2;
  }

  /** Whether the flow asks a resolver for names that is not the one to ask any more. */
  #isOutdated(flow: FlowIndex): boolean {
    if (this.#flows.isDns[flow] === 0) return false;
    const { flows, host } = this.#net;
    const asked = this.#resolvers.indexOf(flows.sides, wordsOf((flow << 1) | TARGET) + SideWord.Endpoint);
    return asked !== this.#resolvers.next(0, host.nowMs);
  }

  /** Sends what was collected before the hop limit or "don't fragment" of the flow's datagrams changes. */
  #applyOptions(flow: FlowIndex): void {
    const { packet } = this.#net;
    const columns = this.#flows;
    // A listener answers for many flows.
    if (columns.listener[flow] !== NO_SLOT) return;
    const dontFragment = packet.dontFragment ? DontFragment.On : DontFragment.Off;
    // No socket sends with hop limit 0; such a datagram goes out with the limit of the one before.
    const hopLimit = packet.hopLimit === 0 ? columns.hopLimit[flow] : packet.hopLimit;
    if (columns.hopLimit[flow] === hopLimit && columns.dontFragment[flow] === dontFragment) return;
    this.#flush(flow);
    this.#sender.setOptions(flow, hopLimit, dontFragment);
  }

  #flush(flow: FlowIndex): void {
    const batch = this.#batch;
    let entry = batch.first(flow);
    if (entry < 0) return;
    batch.drop(flow);
    const to = hostSide(this.#net.flows, flow);
    for (; entry >= 0; entry = batch.next[entry]) this.#sender.add(to, batch.at[entry], batch.length[entry]);
    this.#sender.end(to);
  }

  /**
   * The flow's peer does not answer: if it is a resolver, another one may; past the TAP nobody will, and nobody is there
   * to be told.
   */
  #unanswered(flow: FlowIndex): boolean {
    if (this.#flows.isDns[flow] !== 0) return this.#questions.refused(flow);
    const isPast = isSpliced(this.#net.flows, flow);
    if (isPast) this.#flows.close(flow);
    return isPast;
  }
}
