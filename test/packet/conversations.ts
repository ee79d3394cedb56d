/** The flows of a script, and what has happened to them. */
import { sameIp } from "../../src/base/address.ts";
import { endpointPort, oursPort, sideProtocol, SideWord } from "../../src/flow/table.ts";
import { tapWords } from "../../src/proto/sides.ts";
import { IpProtocol } from "../../src/wire/ipv4.ts";
import { TcpFlag } from "../../src/wire/tcp.ts";
import { type FakeNet, ip } from "../support/fake-net.ts";
import type { Bases } from "./packets-in.ts";
import type { Transport } from "./packets-out.ts";
import type { FlowLine, Line } from "./script.ts";
import { endpointText } from "./script-host.ts";
import { TcpWatch } from "./tcp-watch.ts";

export class Conversation {
  readonly line: FlowLine;
  readonly bases: Bases;
  readonly watch = new TcpWatch();
  /** Bytes of the container's stream that the host socket took. */
  taken = 0;
  /** Bytes of the outside's stream that have arrived at the host socket. */
  arrived = 0;
  /** Whether our initial sequence number is not known yet. */
  #isNew = true;

  constructor(line: FlowLine) {
    this.line = line;
    this.bases = { theirs: line.isn, ours: 0 };
  }

  /** A client from outside begins a connection. */
  begin(): void {
    this.#isNew = true;
    this.taken = this.arrived = 0;
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
}

/** How a description of a packet to the container begins. */
const addressesOf = ({ inside, insidePort, outside, outsidePort }: FlowLine): string =>
  `${endpointText(outside, outsidePort)} > ${endpointText(inside, insidePort)}: `;
