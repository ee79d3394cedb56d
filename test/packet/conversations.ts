/** The flows of a script, and what has happened to them. */
import { sameIp } from "../../src/base/address.ts";
import { endpointPort, oursPort, sidePif, sideProtocol, SideWord, wordsOf } from "../../src/flow/table.ts";
import { Pif } from "../../src/flow/state.ts";
import { isSpliced, tapWords } from "../../src/proto/sides.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";
import { TcpFlag } from "../../src/wire/tcp.ts";
import { type FakeNet, ip } from "../support/fake-net.ts";
import { FROM_CONTAINER, streamBytes, TO_CONTAINER } from "./payload.ts";
import type { Bases } from "./packets-in.ts";
import type { Transport } from "./packets-out.ts";
import type { FlowLine, Line } from "./script.ts";
import { endpointText } from "./script-host.ts";
import { TcpWatch } from "./tcp-watch.ts";

/** The streams of a socket, as patterns that tell the place of each byte. */
export class Streams {
  /** Bytes that have arrived at the socket, and bytes that it took. */
  arrived = 0;
  taken = 0;
  readonly #in: number;
  readonly #out: number;

  constructor(seedIn: number, seedOut: number) {
    this.#in = seedIn;
    this.#out = seedOut;
  }

  /** The next bytes that arrive. */
  arrive(length: number): Uint8Array {
    this.arrived += length;
    return streamBytes(this.arrived - length, length, this.#in);
  }

  /** The bytes that the socket should be given next. */
  expected(length: number): Uint8Array {
    return streamBytes(this.taken, length, this.#out);
  }
}

export class Conversation {
  readonly line: FlowLine;
  readonly bases: Bases;
  readonly watch = new TcpWatch();
  /** What went through each socket there may be. */
  readonly host = new Streams(TO_CONTAINER, FROM_CONTAINER);
  readonly client = new Streams(FROM_CONTAINER, TO_CONTAINER);
  readonly server = new Streams(TO_CONTAINER, FROM_CONTAINER);
  /** Whether our initial sequence number is not known yet. */
  #isNew = true;

  constructor(line: FlowLine) {
    this.line = line;
    this.bases = { theirs: line.isn, ours: 0 };
  }

  /** A client from outside begins a connection. */
  begin(): void {
    this.#isNew = true;
    for (const streams of [this.host, this.client, this.server]) streams.arrived = streams.taken = 0;
  }

  /** Takes note of our initial sequence number; a repeated SYN must have the same. */
  output({ flags, sequence }: Transport): void {
    if ((flags & TcpFlag.Syn) === 0) return;
    if (this.#isNew || (flags & TcpFlag.Ack) !== 0) this.bases.ours = sequence;
    this.#isNew = false;
  }
}

export class Conversations {
  readonly #net: FakeNet;
  readonly #all = new Map<string, Conversation>();

  constructor(net: FakeNet, lines: readonly Line[]) {
    this.#net = net;
    for (const { action } of lines) {
      if (action.kind === "flow") this.#all.set(action.flow.name, new Conversation(action.flow));
    }
  }

  get(name: string): Conversation | undefined {
    return this.#all.get(name);
  }

  /** The one whose packets to the container are described like this. */
  ofDescription(text: string): Conversation | undefined {
    return [...this.#all.values()].find(({ line }) => text.startsWith(addressesOf(line)));
  }

  /** Index in the flow table, or -1. */
  indexOf(line: FlowLine): number {
    const { flows } = this.#net;
    return this.#net.openFlows().find((flow) => flows.closed[flow] === 0 && this.#is(flow, line)) ?? -1;
  }

  /** Name of the flow at an index of the flow table; "?" for none of the script's. */
  nameOf(flow: number): string {
    for (const [name, { line }] of this.#all) if (this.#is(flow, line)) return name;
    return "?";
  }

  #is(flow: number, line: FlowLine): boolean {
    const { sides } = this.#net.flows;
    if (isSpliced(this.#net.flows, flow)) return this.#isSpliced(flow, line);
    const words = tapWords(this.#net.flows, flow);
    const protocol = sideProtocol(sides, words);
    const isPing = protocol === IpProtocol.Icmp || protocol === IpProtocol.Icmp6;
    const ports =
      oursPort(sides, words) === line.outsidePort && endpointPort(sides, words) === line.insidePort;
    return (
      sameIp(sides, words + SideWord.Ours, ip(line.outside), 0) &&
      sameIp(sides, words + SideWord.Endpoint, ip(line.inside), 0) &&
      (ports || (isPing && line.insidePort === 0))
    );
  }

  /** Both ends of a spliced flow are far parties. */
  #isSpliced(flow: number, line: FlowLine): boolean {
    const { sides } = this.#net.flows;
    return [wordsOf(flow << 1), wordsOf((flow << 1) | 1)].every((words) => {
      const isInside = sidePif(sides, words) === Pif.Splice;
      const address = isInside ? line.inside : line.outside;
      const port = isInside ? line.insidePort : line.outsidePort;
      return endpointPort(sides, words) === port && sameIp(sides, words + SideWord.Endpoint, ip(address), 0);
    });
  }
}

/** How a description of a packet to the container begins. */
const addressesOf = ({ inside, insidePort, outside, outsidePort }: FlowLine): string =>
  `${endpointText(outside, outsidePort)} > ${endpointText(inside, insidePort)}: `;
