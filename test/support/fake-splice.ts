/** The loopback bypass around a fake host, driven as the engine's loop drives it. */
import { packKind, packPorts, SideWord, TARGET } from "../../src/flow/table.ts";
import { Pif } from "../../src/flow/state.ts";
import { Splice } from "../../src/proto/splice.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";
import { FakeNet, ip } from "./fake-net.ts";
import type { FakeSocket } from "./fake-socket.ts";

/** Bits of an event (linux/eventpoll.h). */
export const IN = 0x001;
export const PRI = 0x002;
export const OUT = 0x004;
export const ERR = 0x008;
export const HUP = 0x010;
export const RDHUP = 0x2000;

const EINPROGRESS = -115;
/** Cycles after which something must be spinning. */
const MOST_CYCLES = 10_000;

/** A flow and its two sockets. */
export interface Spliced {
  flow: number;
  client: FakeSocket;
  /** Undefined while the stock is empty. */
  readonly server: FakeSocket;
}

export class FakeSplice {
  readonly net: FakeNet;
  readonly splice: Splice;

  constructor(capacity = 64) {
    this.net = new FakeNet({ capacity });
    this.splice = new Splice(this.net);
  }

  /** A connection whose connect is under way, from the host's loopback to the container's unless told otherwise. */
  accept(address = "127.0.0.1", target: Pif = Pif.Splice): Spliced {
    const { net } = this;
    const { flows, host } = net;
    const from = ip(address);
    const other = target === Pif.Host ? Pif.Splice : Pif.Host;
    const listener = host.listen("tcp", address.includes(":"), other);
    listener.waiting.push({ from, fromPort: 40_000, to: from, toPort: 80 });
    const fd = host.accept(listener.fd);
    const client = host.sockets.at(-1)!;
    const flow = flows.allocate();
    flows.key[SideWord.Kind] = packKind(IpProtocol.Tcp, other);
    flows.initiate(flow);
    flows.key.set(from, SideWord.Endpoint);
    flows.key[SideWord.Ports] = packPorts(0, 8080);
    flows.key[SideWord.Kind] = packKind(IpProtocol.Tcp, target);
    flows.target(flow);
    host.script("connect", EINPROGRESS);
    this.splice.open(flow, fd);
    const side = (flow << 1) | TARGET;
    return {
      flow,
      client,
      get server() {
        return host.sockets.find((socket) => socket.side === side && socket.closed === "open")!;
      },
    };
  }

  /** A connection that stands. */
  establish(): { flow: number; client: FakeSocket; server: FakeSocket } {
    const { flow, client, server } = this.accept();
    this.event(client, OUT);
    this.event(server, OUT);
    this.net.host.calls.length = 0;
    return { flow, client, server };
  }

  /** One wake-up for an event of a socket. */
  event(socket: FakeSocket, events: number): void {
    // As the stack has it: the flow may have ended in this cycle.
    if (socket.side >= 0 && this.net.flows.closed[socket.flow] === 0) {
      this.splice.socketEvent(socket.side, events);
    }
    this.run();
  }

  /** Bytes arrive at a socket, and the loop wakes up. */
  arrive(socket: FakeSocket, bytes: Uint8Array): void {
    socket.arrive(bytes);
    this.event(socket, IN | OUT);
  }

  /** The peer of a socket ends its stream. */
  end(socket: FakeSocket): void {
    socket.streamEnded = true;
    this.event(socket, IN | OUT | RDHUP);
  }

  /** The peer of a socket breaks the connection off. */
  breakOff(socket: FakeSocket, errno = 104): void {
    socket.breakOff(errno);
    this.event(socket, IN | OUT | ERR | HUP | RDHUP);
  }

  /** There is room again for what a socket sends. */
  makeRoom(socket: FakeSocket, bytes = Infinity): void {
    socket.space = bytes;
    this.event(socket, OUT);
  }

  /** Cycles until there is nothing more to do. */
  run(): void {
    for (let cycles = 0; cycles === 0 || this.splice.isBusy; cycles++) {
      if (cycles === MOST_CYCLES) throw new Error("the loop is spinning");
      this.splice.service();
      this.net.flows.sweep();
    }
  }

  /** Lets time pass; runs what is due. */
  wait(milliseconds: number): void {
    this.net.advance(milliseconds);
    this.net.timers.expire(this.net.host.nowMs, () => this.splice.timer());
    this.run();
  }

  /** Pipes that are taken. */
  get pipesTaken(): number {
    return this.net.host.pipes.filter((pipe) => pipe !== undefined).length;
  }
}

/** Everything that was sent on a socket. */
export const sentOn = (socket: FakeSocket): Buffer => Buffer.concat(socket.sent.map(({ bytes }) => bytes));
