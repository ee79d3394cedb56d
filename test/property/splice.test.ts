/** Whatever happens in whatever order, a spliced connection carries each byte once, and each end behind the last. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import type { FakeSocket } from "../support/fake-socket.ts";
import { ERR, FakeSplice, HUP, IN, OUT, PRI, RDHUP, sentOn } from "../support/fake-splice.ts";

const EMFILE = -24;
const ECONNRESET = 104;

type Step =
  | { kind: "arrive"; side: 0 | 1; length: number; urgent: boolean }
  | { kind: "room"; side: 0 | 1; bytes: number }
  | { kind: "end"; side: 0 | 1 }
  | { kind: "reset"; side: 0 | 1 }
  | { kind: "stale"; side: 0 | 1 }
  | { kind: "connected" }
  | { kind: "poll" }
  | { kind: "no pipe" };

const side = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("arrive" as const),
      side,
      length: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 150_000 })),
      urgent: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("room" as const),
      side,
      bytes: fc.constantFrom(0, 1, 1000, 70_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("end" as const, "stale" as const), side }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom("connected" as const, "poll" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("no pipe" as const) }) },
);
const reset: fc.Arbitrary<Step> = fc.record({ kind: fc.constant("reset" as const), side });

/** Two peers and the kernel between them and the flow: edge-triggered, with the state at the time of the poll. */
class Model {
  readonly fake = new FakeSplice();
  readonly sockets: readonly [FakeSocket, FakeSocket];
  /** Bytes that each side's peer has sent. */
  readonly said: [number, number] = [0, 0];
  readonly ended: [boolean, boolean] = [false, false];
  readonly broken: [boolean, boolean] = [false, false];
  readonly #edge: [boolean, boolean] = [true, false];
  #connected = false;

  constructor() {
    const { client, server } = this.fake.accept();
    this.sockets = [client, server];
  }

  take(action: Step): void {
    if (action.kind === "poll") return this.poll();
    if (action.kind === "no pipe") return this.fake.net.host.script("takePipe", EMFILE);
    if (action.kind === "connected") {
      if (!this.#connected) this.#edge[1] = true;
      this.#connected = true;
      return;
    }
    const at = action.side;
    const socket = this.sockets[at];
    // Before its connect has ended, a server says nothing.
    const isSilent = this.broken[at] || (at === 1 && !this.#connected);
    const hasSaidAll = this.ended[at] && action.kind !== "reset";
    if (action.kind === "room") socket.space = action.bytes;
    else if (action.kind !== "stale" && (isSilent || hasSaidAll)) return;
    if (action.kind === "arrive") {
      socket.arrive(stream(at, this.said[at], action.length));
      if (action.urgent) socket.urgentAt = socket.stream.length - 1;
      this.said[at] += action.length;
    } else if (action.kind === "end") {
      this.ended[at] = socket.streamEnded = true;
    } else if (action.kind === "reset") {
      this.broken[at] = true;
      socket.breakOff(ECONNRESET);
    }
    this.#edge[at] = true;
  }

  poll(): void {
    const { fake } = this;
    for (const at of [0, 1] as const) {
      const socket = this.sockets[at];
      if (!this.#edge[at] || socket.closed !== "open" || (at === 1 && !this.#connected)) continue;
      this.#edge[at] = false;
      fake.splice.socketEvent(socket.side, mask(socket));
    }
    fake.run();
    const stalled = this.sockets.filter(({ space, closed }) => space === 0 && closed === "open").length;
    if (fake.pipesTaken > stalled) throw new Error(`${fake.pipesTaken} pipes are taken`);
  }

  /** Lets everybody take everything. */
  finish(): void {
    this.take({ kind: "connected" });
    for (const at of [0, 1] as const) this.take({ kind: "room", side: at, bytes: Infinity });
    this.poll();
    for (let i = 0; i < 50; i++) this.fake.wait(50);
  }

  /** How each socket ended, and what is wrong with what it was given. */
  outcome(at: 0 | 1): { closed: string; isPrefix: boolean; lost: number; writeShut: boolean } {
    const other = at === 0 ? 1 : 0;
    const { closed, writeShut } = this.sockets[at];
    const given = sentOn(this.sockets[at]);
    const isPrefix = given.equals(stream(other, 0, given.length));
    // What a peer does not take any more may be lost.
    const lost = this.broken[at] && !writeShut ? 0 : this.said[other] - given.length;
    return { closed, isPrefix, lost, writeShut };
  }
}

function mask(socket: FakeSocket): number {
  const isOver = socket.streamEnded || socket.isBroken;
  let events = 0;
  if (socket.stream.length > 0 || isOver) events |= IN;
  if (socket.urgentAt >= 0) events |= PRI;
  if (socket.space > 0 || socket.isBroken) events |= OUT;
  if (isOver) events |= RDHUP;
  if (socket.isBroken || (socket.streamEnded && socket.writeShut)) events |= HUP;
  if (socket.error !== 0) events |= ERR;
  return events;
}

/** Bytes of the endless stream of a side's peer. */
function stream(at: number, from: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8) * 7 + at) & 255;
  return bytes;
}

/** Runs steps and lets everybody take everything. */
function run(steps: readonly Step[]): Model {
  const model = new Model();
  for (const action of steps) model.take(action);
  model.finish();
  return model;
}

test("everything arrives, in order and to its end", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const model = run(steps);
      const closed = model.ended[0] && model.ended[1] ? "closed" : "open";
      for (const at of [0, 1] as const) {
        const writeShut = model.ended[1 - at];
        expect(model.outcome(at)).toEqual({ closed, isPrefix: true, lost: 0, writeShut });
      }
      expect([model.fake.pipesTaken, model.fake.splice.isBusy]).toEqual([0, false]);
    }),
    { numRuns: 500 },
  );
});

test("a reset of one is a reset of both, behind what was said before", () => {
  const any = fc.oneof({ weight: 30, arbitrary: step }, { weight: 1, arbitrary: reset });
  fc.assert(
    fc.property(fc.array(any, { maxLength: 40 }), reset, (steps, last) => {
      const model = run([...steps, { kind: "connected" }, last]);
      const [client, server] = [model.outcome(0), model.outcome(1)];
      // Unless both had said everything.
      const closed = client.writeShut && server.writeShut ? "closed" : "reset";
      for (const outcome of [client, server]) {
        expect(outcome).toMatchObject({ closed, isPrefix: true, lost: 0 });
      }
      expect([model.fake.pipesTaken, model.fake.splice.isBusy]).toEqual([0, false]);
    }),
    { numRuns: 500 },
  );
});
