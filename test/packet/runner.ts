/** Runs a packet script against the protocols, in memory. README.md tells what scripts can say. */
import { Count, type CounterName } from "../../src/base/counters.ts";
import { FlowType } from "../../src/flow/state.ts";
import { INITIATING, TARGET } from "../../src/flow/table.ts";
import { isSpliced } from "../../src/proto/sides.ts";
import { Stack } from "../../src/proto/stack.ts";
import { rfcState } from "../../src/proto/tcp/connections.ts";
import type { FakeNet } from "../support/fake-net.ts";
import type { FakeSocket } from "../support/fake-socket.ts";
import { fits, isDatagram, isPayload, isSegment, relativeSegment, writeBody } from "./compare.ts";
import { type Conversation, Conversations } from "./conversations.ts";
import { resultOf } from "./errno.ts";
import { applyEvent } from "./events.ts";
import { delayFor } from "./first-isn.ts";
import { visit } from "./forward.ts";
import { hostEvent, isHostEvent } from "./host-change.ts";
import { buildFrame } from "./packets-in.ts";
import { FROM_CONTAINER, TO_CONTAINER, trainBytes } from "./payload.ts";
import { readFrame, type Transport } from "./packets-out.ts";
import { DEFAULT_FLOW, type Action, type Line, parseScript, type Who } from "./script.ts";
import type { ScriptHost, Witness } from "./script-host.ts";
import { buildNet } from "./setup.ts";

/** Timers may fire late by a 15th of their delay (flow/timers.ts), and a little more for whole milliseconds. */
const LATE_SHARE = 1 / 15;
const LATE_MS = 2;
/** Received frames start at multiples of this, as in the engine's loop. */
const FRAME_ALIGNMENT = 64;
/** Cycles without new events after which something must be spinning. */
const MOST_CYCLES = 10_000;
const EPOLLIN = 1;
/** Why a script failed; the message begins with file and line. */
export class ScriptFailure extends Error {
  override readonly name = "ScriptFailure";

  constructor(message: string) {
    super(message);
    // Where in the runner it was noticed helps nobody.
    this.stack = message;
  }
}

/** Runs a script; throws a ScriptFailure, or a ScriptError when it cannot be read. Returns its number of lines. */
export function runScript(file: string, text: string, include: (name: string) => string): number {
  const lines = parseScript(file, text, include);
  new Runner(lines).run();
  return lines.length;
}

class Runner implements Witness {
  readonly #lines: readonly Line[];
  readonly #net: FakeNet;
  readonly #host: ScriptHost;
  readonly #stack: Stack;
  readonly #flows: Conversations;
  readonly #startMs: number;
  /** Lines whose event has come before their turn. */
  readonly #met = new Set<Line>();
  /** The line being executed; what happens now is compared with those from here on. */
  #at = 0;
  /** The line that is waited for, and when its event may come at the earliest. */
  #awaited: { line: Line; fromMs: number } | undefined;
  /** Flow of the last packet from the container. */
  #current = DEFAULT_FLOW;
  /** Drops that lines have told of. */
  readonly #told = new Map<string, number>();

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
    const { net, host, ourIsn } = buildNet(lines);
    if (ourIsn !== undefined) host.nowMs += delayFor(ourIsn, lines);
    this.#net = net;
    this.#flows = new Conversations(net, lines);
    this.#host = host;
    this.#startMs = host.nowMs;
    this.#stack = new Stack(net);
    host.witness = this;
    this.#stack.startOfCycle();
  }

  run(): void {
    for (this.#at = 0; this.#at < this.#lines.length;) {
      const line = this.#lines[this.#at];
      if (this.#met.has(line)) this.#at++;
      else this.#execute(line);
    }
    const values = this.#net.counters.snapshot();
    for (const [name, value] of Object.entries(values)) {
      const told = this.#told.get(name) ?? 0;
      if (name.startsWith("drop") && value !== told) {
        throw this.#failure(this.#lines.at(-1), `${name} ${told}`, `${name} ${value} at the end`);
      }
    }
  }

  #execute(line: Line): void {
    const { action, time } = line;
    switch (action.kind) {
      case "config":
      case "flow":
        this.#at++;
        return;
      case "input":
        this.#advance(line);
        return this.#input(line);
      case "event":
        this.#advance(line);
        return this.#events(line);
      case "end":
        this.#advance(line);
        this.#at++;
        return this.#cycle(() => this.#stack.shutdown(), []);
      case "check":
        this.#advance(line);
        this.#check(line, action);
        this.#at++;
        return;
      case "output":
      case "call":
        if (time.kind === "now" || time.kind === "same-batch") {
          throw this.#failure(line, line.text, "nothing");
        }
        return this.#await(line);
    }
  }

  /** Lets time pass until the line's; nothing may happen meanwhile. */
  #advance({ time }: Line): void {
    if (time.kind === "after" || time.kind === "at") this.#passUntil(this.#timeOf(time), () => false);
  }

  /** Lets time pass until the line's event has come. */
  #await(line: Line): void {
    const { time } = line;
    if (time.kind !== "after" && time.kind !== "at") return;
    const fromMs = this.#timeOf(time);
    const untilMs = fromMs + (fromMs - this.#host.nowMs) * LATE_SHARE + LATE_MS;
    this.#awaited = { line, fromMs };
    this.#passUntil(untilMs, () => this.#met.has(line));
    this.#awaited = undefined;
    if (!this.#met.has(line)) throw this.#failure(line, line.text, `nothing until ${this.#clock()}`);
  }

  #timeOf(time: { kind: "after" | "at"; ms: number }): number {
    return time.ms + (time.kind === "after" ? this.#host.nowMs : this.#startMs);
  }

  #passUntil(targetMs: number, isEnough: () => boolean): void {
    const host = this.#host;
    while (host.nowMs < targetMs && !isEnough()) {
      const delay = this.#stack.nextDelay();
      host.nowMs = delay < 0 ? targetMs : Math.min(host.nowMs + Math.max(delay, 1), targetMs);
      this.#cycle(() => {}, []);
    }
  }

  /** One wake-up of the engine's loop, and those that follow while there is something to do. */
  #cycle(events: () => void, frames: readonly Uint8Array[]): void {
    const stack = this.#stack;
    stack.startOfCycle();
    events();
    stack.service();
    if (frames.length > 0) {
      let at = this.#net.plan.receiveAt;
      for (const frame of frames) {
        const end = this.#net.place(frame, at);
        stack.frame(at, end);
        at = Math.ceil(end / FRAME_ALIGNMENT) * FRAME_ALIGNMENT;
      }
      stack.endOfFrames();
    }
    stack.endOfCycle();
    for (let cycles = 0; stack.isBusy; cycles++) {
      if (cycles === MOST_CYCLES)
        throw this.#failure(this.#lines[this.#at], "an end", "the loop is spinning");
      stack.startOfCycle();
      stack.service();
      stack.endOfCycle();
    }
  }

  /** Sends the packets of this line, and of those in the same batch. */
  #input(first: Line): void {
    const frames: Uint8Array[] = [];
    for (let line: Line | undefined = first; line !== undefined; line = this.#lines[this.#at]) {
      const { action, time } = line;
      if (action.kind !== "input" || (line !== first && time.kind !== "same-batch")) break;
      const flow = this.#flow(action.flow, line);
      this.#current = action.flow;
      if (action.packet.body.kind === "tcp") flow.watch.input(action.packet.body);
      frames.push(buildFrame(action.packet, flow.line, flow.bases));
      this.#at++;
    }
    this.#cycle(() => {}, frames);
  }

  /** Reports the events of this line, and of those that come together with it. */
  #events(first: Line): void {
    const reports: (() => void)[] = [];
    for (let line: Line | undefined = first; line !== undefined; line = this.#lines[this.#at]) {
      const { action, time } = line;
      if (action.kind !== "event" || (line !== first && time.kind !== "same-batch")) break;
      const now = line;
      reports.push(() => this.#event(now, action));
      this.#at++;
    }
    this.#cycle(() => reports.forEach((report) => report()), []);
  }

  #event(line: Line, action: Extract<Action, { kind: "event" }>): void {
    const { words } = action;
    if (words[0] === "accept") {
      this.#current = action.flow;
      this.#flows.get(action.flow)?.begin();
      const { slot, socket, client } = visit(this.#net, "tcp", words[1], words[3]);
      socket.waiting.push(client);
      return this.#stack.listenerEvent(slot, EPOLLIN);
    }
    if (words[0] === "at") return this.#datagram(action);
    if (isHostEvent(words)) return hostEvent(this.#net, this.#stack, words);
    const flow = this.#flow(action.flow, line);
    const socket = this.#socket(this.#flows.indexOf(flow.line), action.who);
    if (socket === undefined) throw this.#failure(line, line.text, "the flow has no such socket");
    const streams = flow[action.who];
    const events = applyEvent(socket, words, action.literal, (length) => streams.arrive(length));
    this.#stack.socketEvent(socket.side, events);
  }

  /** Something arrives at a UDP listener. */
  #datagram({ words, literal }: Extract<Action, { kind: "event" }>): void {
    const { slot, socket, client } = visit(this.#net, "udp", words[1], words[3]);
    const events = applyEvent(socket, words.slice(4), literal, (length) => new Uint8Array(length));
    for (const datagram of socket.inbox) datagram.client ??= client;
    for (const error of socket.errors) error.about ??= client;
    this.#stack.listenerEvent(slot, events);
  }

  #socket(flow: number, who: Who): FakeSocket | undefined {
    if (flow < 0) return undefined;
    const fd = this.#net.socket[flow];
    const side = (flow << 1) | (who === "server" ? TARGET : INITIATING);
    return this.#host.sockets.find((socket) =>
      who === "host" ? socket.fd === fd : socket.side === side && socket.closed === "open",
    );
  }

  #check(line: Line, { what, flow, words }: Extract<Action, { kind: "check" }>): void {
    if (what === "state") {
      const index = this.#flows.indexOf(this.#flow(flow, line).line);
      const events = index < 0 ? 0 : this.#stack.tcp.connections.events[index];
      const state = index < 0 ? "CLOSED" : rfcState(events);
      if (state !== words[0]) throw this.#failure(line, line.text, `state ${state}`);
      return;
    }
    const [name, amount = "1"] = words;
    const counter = what === "drop" ? `drop${name}` : name;
    if (!isCounter(counter)) throw this.#failure(line, line.text, "there is no such counter");
    const told = (this.#told.get(counter) ?? 0) + Number(amount);
    this.#told.set(counter, told);
    const value = this.#net.counters.values[Count[counter]];
    if (value !== told) throw this.#failure(line, `${counter} ${told} in all`, `${counter} ${value}`);
  }

  /* Witness: what the protocols do. */

  call(side: number, text: string, bytes: Uint8Array | undefined): number | undefined {
    const name = side < 0 ? this.#current : this.#flows.nameOf(side >> 1);
    const who = this.#whoIs(side);
    const actual = `${who} ${name === DEFAULT_FLOW ? "" : `${name} `}${text}`;
    const line = this.#next(actual);
    const { action } = line;
    if (action.kind !== "call" || action.who !== who || action.flow !== name || !fits(action.call, text)) {
      throw this.#failure(line, line.text, actual);
    }
    const result = resultOf(action.result);
    if (bytes !== undefined) this.#checkBytes(line, side, text, bytes, result);
    this.#met.add(line);
    return result;
  }

  #whoIs(side: number): Who {
    if (side < 0 || !isSpliced(this.#net.flows, side >> 1)) return "host";
    return (side & 1) === TARGET ? "server" : "client";
  }

  result(text: string): number | undefined {
    const line = this.#pending();
    if (line?.action.kind !== "call" || line.action.call !== text) return undefined;
    this.#next(text);
    this.#met.add(line);
    return resultOf(line.action.result);
  }

  frame(bytes: Uint8Array): number | undefined {
    const { text, transport } = this.#readFrame(bytes);
    const flow = this.#flows.ofDescription(text);
    if (transport?.kind === "tcp" && flow !== undefined) return this.#segment(flow, transport, text);
    const name = flow === undefined || flow.line.name === DEFAULT_FLOW ? "" : `${flow.line.name} `;
    const isUdp = transport !== undefined && transport.kind === "udp" && flow !== undefined;
    const body = isUdp
      ? writeBody({ kind: "udp", length: transport.payload.length, segment: transport.gso })
      : text;
    const actual = `tap ${name}> ${body}`;
    const line = this.#next(actual);
    const { action } = line;
    if (action.kind !== "output") throw this.#failure(line, line.text, actual);
    const expected = action.packet.body;
    let matches = false;
    if (expected.kind === "other") matches = fits(expected.text, text);
    else if (expected.kind === "udp" && isUdp) {
      matches = action.flow === flow.line.name && isDatagram(expected, action.packet, transport);
    }
    if (!matches) throw this.#failure(line, line.text, actual);
    this.#met.add(line);
    return resultOf(action.result);
  }

  #segment(flow: Conversation, transport: Transport, text: string): number | undefined {
    flow.output(transport);
    const segment = relativeSegment(transport, flow.bases);
    const name = flow.line.name === DEFAULT_FLOW ? "" : `${flow.line.name} `;
    const actual = `tap ${name}> ${writeBody(segment)}`;
    const line = this.#next(actual);
    const { action } = line;
    const fit =
      action.kind === "output" &&
      action.flow === flow.line.name &&
      action.packet.body.kind === "tcp" &&
      isSegment(action.packet.body, action.packet, segment, transport.payload);
    if (!fit) throw this.#failure(line, line.text, `${actual}   [${text}]`);
    const problem = flow.watch.output(segment, transport.largest);
    if (problem !== "") throw this.#failure(line, `a segment that may be sent`, `${actual}: ${problem}`);
    this.#met.add(line);
    return resultOf(action.result);
  }

  #readFrame(bytes: Uint8Array): ReturnType<typeof readFrame> {
    try {
      return readFrame(bytes, this.#net.link, this.#host);
    } catch (error) {
      throw this.#failure(this.#pending() ?? this.#lines[this.#at - 1], "a proper frame", String(error));
    }
  }

  /** Checks what a socket is given: the next bytes of a stream, or whole datagrams. */
  #checkBytes(line: Line, side: number, text: string, bytes: Uint8Array, result: number | undefined): void {
    const streams = this.#flows.get(this.#flows.nameOf(side >> 1))?.[this.#whoIs(side)];
    const type = this.#net.flows.type[side >> 1];
    if (streams === undefined || type === FlowType.Ping4 || type === FlowType.Ping6) return;
    const segment = Number(/\/(\d+)/.exec(text)?.[1] ?? 0);
    const isStream = type === FlowType.Tcp || type === FlowType.TcpSplice;
    const seed = isSpliced(this.#net.flows, side >> 1) ? TO_CONTAINER : FROM_CONTAINER;
    const usual = isStream ? streams.expected(bytes.length) : trainBytes(bytes.length, segment, seed);
    const literal = line.action.kind === "call" ? line.action.literal : undefined;
    if (!isPayload(bytes, literal, usual)) throw this.#failure(line, line.text, `other bytes in ${text}`);
    streams.taken += Math.max(result ?? bytes.length, 0);
  }

  /** The next line that tells of something the protocols do; `actual` is what they have just done. */
  #next(actual: string): Line {
    const line = this.#pending();
    const now = this.#clock();
    if (line === undefined) {
      throw this.#failure(this.#lines[this.#at - 1] ?? this.#lines[0], "nothing", `${actual} at ${now}`);
    }
    const { time } = line;
    const isTimed = time.kind === "after" || time.kind === "at";
    const early = isTimed && (this.#awaited?.line !== line || this.#host.nowMs < this.#awaited.fromMs);
    if (early) throw this.#failure(line, line.text, `${actual} already at ${now}`);
    return line;
  }

  #pending(): Line | undefined {
    for (let i = this.#at; i < this.#lines.length; i++) {
      const line = this.#lines[i];
      if (line.action.kind === "output" || line.action.kind === "call") {
        if (!this.#met.has(line)) return line;
      } else if (line.action.kind !== "check") return undefined;
    }
    return undefined;
  }

  #flow(name: string, line: Line): Conversation {
    const flow = this.#flows.get(name);
    if (flow === undefined) throw this.#failure(line, line.text, `there is no flow "${name}"`);
    return flow;
  }

  #clock(): string {
    return `${Math.round(this.#host.nowMs - this.#startMs)} ms`;
  }

  #failure(line: Line | undefined, expected: string, actual: string): ScriptFailure {
    return new ScriptFailure(`${line?.place}\n  expected: ${expected}\n  actual:   ${actual}`);
  }
}

const isCounter = (name: string): name is CounterName => Object.hasOwn(Count, name);
