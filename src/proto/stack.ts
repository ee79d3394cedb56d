/** The protocols together: where a frame, a socket's event and a timer find their handler. */
import { FlowType } from "../flow/state.ts";
import type { FlowIndex, SideIndex } from "../flow/table.ts";
import type { ListenerSlot } from "../forward/listeners.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import { Acceptor } from "./accept.ts";
import { Announcer } from "./announcer.ts";
import { Arp } from "./arp.ts";
import { Dhcp } from "./dhcp.ts";
import { Fragmentation } from "./fragments.ts";
import { Count } from "../base/counters.ts";
import { Icmp4, Icmp6 } from "./icmp.ts";
import { Input, type Upper } from "./input.ts";
import type { Link } from "./link.ts";
import { Ndp } from "./ndp.ts";
import type { Net } from "./net.ts";
import { Output } from "./output.ts";
import { Ping } from "./ping.ts";
import { Router } from "./router.ts";
import { Splice } from "./splice.ts";
import { Tcp } from "./tcp/tcp.ts";
import { Udp } from "./udp.ts";

/** What a protocol does with the events of its flows. */
export interface FlowHandler {
  /** `events` are EPOLL* bits of the socket on a side of the flow. */
  socketEvent(side: SideIndex, events: number): void;
  timer(flow: FlowIndex): void;
}

export class Stack {
  readonly net: Net;
  readonly tcp: Tcp;
  readonly splice: Splice;
  readonly udp: Udp;
  readonly #router: Router;
  readonly #dhcp: Dhcp;
  readonly #announcer: Announcer;
  readonly #ping: Ping;
  readonly #acceptor: Acceptor;
  readonly #input: Input;
  readonly #fragments: Fragmentation;
  /** Handlers by FlowType. */
  readonly #handlers: (FlowHandler | undefined)[] = [];
  readonly #expired = (flow: FlowIndex): void => {
    this.#handlers[this.net.flows.type[flow]]?.timer(flow);
  };

  constructor(net: Net) {
    this.net = net;
    const output = new Output(net);
    this.tcp = new Tcp(net, output);
    this.splice = new Splice(net);
    this.udp = new Udp(net, output);
    const arp = new Arp(net, output);
    this.#router = new Router(net, output);
    this.#dhcp = new Dhcp(net, output);
    const ndp = new Ndp(net, output, this.#router);
    this.#announcer = new Announcer(net, output.neighbours, arp, ndp);
    this.#acceptor = new Acceptor(net, this.tcp, this.splice);
    this.#ping = new Ping(net, output);
    const off: Upper = { input: () => net.counters.add(Count.dropProtocolOff) };
    const { without } = net;
    this.#fragments = new Fragmentation(net, (at, end, v6) =>
      v6 ? this.#input.ipv6(at, end, false) : this.#input.ipv4(at, end),
    );
    this.#input = new Input(net, {
      arp,
      tcp: without.has("tcp") ? off : this.tcp,
      dhcp: this.#dhcp,
      udp: without.has("udp") ? off : this.udp,
      icmp4: without.has("icmp") ? off : new Icmp4(net, this.#ping),
      icmp6: without.has("icmp") ? off : new Icmp6(net, this.#ping, without.has("ndp") ? off : ndp),
      fragments: this.#fragments,
    });
    this.#handlers[FlowType.Tcp] = this.tcp;
    this.#handlers[FlowType.TcpSplice] = this.splice;
    this.#handlers[FlowType.Udp] = this.udp;
    this.#handlers[FlowType.Ping4] = this.#ping;
    this.#handlers[FlowType.Ping6] = this.#ping;
  }

  /**
   * Tells the container what has changed, where it cannot see that itself.
   * @param before the link as it was
   */
  networkChanged(before: Link): void {
    this.#router.networkChanged(before);
    this.#dhcp.networkChanged(before);
    this.hostChanged();
  }

  /** Something of the host has changed, be it only who is behind an address. */
  hostChanged(): void {
    this.#announcer.hostChanged();
  }

  /** Handles one frame from the container in `[at, end)` of the arena; see `Input.frame`. */
  frame(at: number, end: number): void {
    this.#input.frame(at, end);
  }

  /** Ends a batch of frames: payloads go to their sockets, acknowledgements to the container. */
  endOfFrames(): void {
    this.tcp.endOfFrames();
    this.udp.endOfFrames();
    this.#fragments.endOfFrames();
  }

  /** Handles what epoll reported of the socket on a side of a flow. */
  socketEvent(side: SideIndex, events: number): void {
    const { flows } = this.net;
    const flow = side >> 1;
    // The flow may have ended earlier in this cycle; its row is not reused before the sweep.
    if (flows.closed[flow] === 1) return;
    this.#handlers[flows.type[flow]]?.socketEvent(side, events);
  }

  /** Handles what epoll reported of a listener: clients, datagrams, errors. */
  listenerEvent(slot: ListenerSlot, events: number): void {
    if (this.net.listeners.protocol(slot) === IpProtocol.Tcp) this.#acceptor.listenerEvent(slot);
    else this.udp.listenerEvent(slot, events);
  }

  /** Takes the clients that wait at a TCP listener, before it is closed. */
  drainListener(slot: ListenerSlot): void {
    if (this.net.listeners.protocol(slot) === IpProtocol.Tcp) this.#acceptor.drain(slot);
  }

  /** There are sockets in the container's network namespace again (see `Host.openTcp`). */
  insideReady(): void {
    this.splice.insideReady();
    this.udp.insideReady();
  }

  /** Takes clients that wait, and moves data of sockets that are readable, each within a budget. */
  service(): void {
    this.#acceptor.service();
    this.splice.service();
    this.#ping.service();
    // The first may use up all that a limit lets pass, so they take turns at that.
    const isUdpFirst = ((this.net.ingress?.openings ?? 0) & 1) === 1;
    if (isUdpFirst) this.udp.service();
    this.tcp.service();
    if (!isUdpFirst) this.udp.service();
  }

  /** Whether some socket has more to give, so that the next cycle must not wait. */
  get isBusy(): boolean {
    return this.#acceptor.isBusy || this.tcp.isBusy || this.splice.isBusy || this.udp.isBusy;
  }

  /** Runs what is due; the first step of every cycle, because the wheel's precision starts from here. */
  startOfCycle(): void {
    this.net.ingress?.refill(this.net.host.nowMs);
    this.net.timers.expire(this.net.host.nowMs, this.#expired);
    this.#fragments.expire();
    this.#router.expire();
    this.#announcer.expire();
    this.udp.expire();
    this.#acceptor.expire();
  }

  /** Frees what has ended; the last step of every cycle. */
  endOfCycle(): void {
    this.#announcer.endOfCycle();
    this.net.flows.sweep();
  }

  /** Ends all connections; nobody shall take a cut stream for a complete one. */
  shutdown(): void {
    this.tcp.shutdown();
    this.splice.shutdown();
  }

  /** Milliseconds until something is due, or -1. */
  nextDelay(): number {
    const { timers, host, ingress } = this.net;
    let delay = timers.nextDelay(host.nowMs);
    const others = [
      this.#fragments.nextDelay(),
      this.#router.nextDelay(),
      this.#announcer.nextDelay(),
      this.udp.nextDelay(),
      this.#acceptor.nextDelay(),
    ];
    if (ingress !== undefined) others.push(ingress.nextDelay());
    for (const other of others) {
      if (other >= 0 && (delay < 0 || other < delay)) delay = other;
    }
    return delay;
  }
}
