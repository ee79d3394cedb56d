/** All protocols around a fake host, driven as the engine's loop drives them. */
import { Stack } from "../../src/proto/stack.ts";
import type { FakeSocket } from "./fake-socket.ts";
import { FakeNet, type FakeNetOptions } from "./fake-net.ts";
import { type PacketOptions, pattern, udpFrame } from "./frames.ts";

/** A UDP datagram from the container; what is not given is the same every time. */
export type Datagram = PacketOptions & {
  to?: string;
  port?: number;
  payload?: Uint8Array;
  sourcePort?: number;
};

/** Bits of an event (linux/eventpoll.h). */
export const READABLE = 1;
export const FAILED = 8;

export class FakeStack {
  readonly net: FakeNet;
  readonly stack: Stack;

  constructor(options: FakeNetOptions = {}) {
    this.net = new FakeNet(options);
    this.stack = new Stack(this.net);
  }

  /** One batch of frames from the container. */
  take(...frames: Uint8Array[]): void {
    let at = this.net.plan.receiveAt;
    for (const frame of frames) {
      const end = this.net.place(frame, at);
      this.stack.frame(at, end);
      at = end;
    }
    this.stack.endOfFrames();
  }

  /** One batch of datagrams from the container. */
  send(...datagrams: Datagram[]): void {
    this.take(
      ...datagrams.map(({ to = "198.51.100.1", port = 53, payload = pattern(10), ...options }) =>
        udpFrame(to, port, payload, options),
      ),
    );
  }

  /** One cycle of the loop with events for a socket. */
  event(socket: FakeSocket, events: number): void {
    this.stack.socketEvent(socket.side, events);
    this.stack.service();
    this.stack.endOfCycle();
  }

  /** Lets time pass, then one cycle of the loop without events. */
  wait(milliseconds: number): void {
    this.net.advance(milliseconds);
    this.stack.startOfCycle();
    this.stack.endOfCycle();
  }
}
