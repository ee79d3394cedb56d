/** A fake host whose calls are told to the script, which decides what they answer. */
import { formatIp } from "../../src/base/address.ts";
import { endpointPort, oursPort, SideWord, TARGET, wordsOf, type FlowTable } from "../../src/flow/table.ts";
import type { Host } from "../../src/proto/host.ts";
import { FakeHost } from "../support/fake-host.ts";

const EINPROGRESS = -115;

/** What the script is told of a call, and what it answers: a result, or undefined for the usual one. */
export interface Witness {
  /** @param side -1 while it is not known */
  call(side: number, text: string, bytes: Uint8Array | undefined): number | undefined;
  /** Asked for calls that are no event unless the script has a line for them. */
  result(text: string): number | undefined;
  frame(bytes: Uint8Array): number | undefined;
}

export class ScriptHost extends FakeHost {
  /** Set before anything is called. */
  witness: Witness | undefined;
  readonly #table: FlowTable;
  readonly #sideOf = new Map<number, number>();
  readonly #pieces: { at: number; length: number }[] = [];
  /** Value of each option of each descriptor. */
  readonly #values = new Map<string, number | boolean>();

  constructor(table: FlowTable, arenaLength: number) {
    super(table, arenaLength);
    this.#table = table;
  }

  override tapWrite(at: number, length: number): number {
    const result = this.witness?.frame(this.arena.bytes.slice(at, at + length));
    if (result !== undefined) this.script("tapWrite", result);
    const written = super.tapWrite(at, length);
    this.frames.length = 0;
    return written;
  }

  override openTcp(v6: boolean, pif: number): number {
    return this.#open() ?? super.openTcp(v6, pif);
  }
  override openUdp(v6: boolean, pif: number): number {
    return this.#open() ?? super.openUdp(v6, pif);
  }
  override openPing(v6: boolean): number {
    return this.#open() ?? super.openPing(v6);
  }

  override accept(listener: number): number {
    const socket = this.sockets.find(({ fd }) => fd === listener);
    const result = socket?.waiting.length === 0 ? undefined : this.witness?.result("accept()");
    if (result === undefined) return super.accept(listener);
    socket?.waiting.shift();
    return result;
  }

  override bind(fd: number, flow: number): number {
    this.#sideOf.set(fd, (flow << 1) | TARGET);
    this.#tell("bind", fd, `bind(${this.#address(flow, SideWord.Ours)})`);
    return super.bind(fd, flow);
  }
  override bindToDevice(fd: number, name: string): number {
    this.#tell("bindToDevice", fd, `device(${name})`);
    return super.bindToDevice(fd, name);
  }
  override connect(fd: number, flow: number): number {
    this.#sideOf.set(fd, (flow << 1) | TARGET);
    const usual = this.sockets.find((socket) => socket.fd === fd)?.kind === "tcp" ? EINPROGRESS : 0;
    const text = `connect(${this.#address(flow, SideWord.Endpoint)})`;
    const result = this.witness?.call((flow << 1) | TARGET, text, undefined) ?? usual;
    this.script("connect", result);
    return super.connect(fd, flow);
  }
  override watch(fd: number, side: number): number {
    this.#sideOf.set(fd, side);
    return super.watch(fd, side);
  }

  override close(fd: number): void {
    this.#tell("close", fd, "close()");
    this.#sideOf.delete(fd);
    super.close(fd);
  }
  override closeReset(fd: number): void {
    this.#tell("closeReset", fd, "reset()");
    this.#sideOf.delete(fd);
    super.closeReset(fd);
  }
  override shutdownWrite(fd: number): number {
    this.#tell("shutdownWrite", fd, "shutdown()");
    return super.shutdownWrite(fd);
  }

  override part(index: number, at: number, length: number): void {
    super.part(index, at, length);
    this.#pieces[index] = { at, length };
  }
  override send(fd: number, parts: number): number {
    const bytes = this.#gather(parts);
    const result = this.witness?.call(this.#side(fd), `send(${bytes.length})`, bytes);
    if (result !== undefined) this.script("send", result);
    return super.send(fd, parts);
  }
  override sendTrain(fd: number, parts: number, segment: number): number {
    const bytes = this.#gather(parts);
    const result = this.witness?.call(this.#side(fd), `train(${bytes.length}/${segment})`, bytes);
    if (result !== undefined) this.script("sendTrain", result);
    return super.sendTrain(fd, parts, segment);
  }

  override sendFrom(fd: number, parts: number, segment: number, side: number): number {
    const bytes = this.#gather(parts);
    const size = segment > 0 ? `${bytes.length}/${segment}` : `${bytes.length}`;
    const way = `${this.#end(side, SideWord.Ours)} > ${this.#end(side, SideWord.Endpoint)}`;
    const result = this.witness?.call(side, `sendfrom(${way}, ${size})`, bytes);
    if (result !== undefined) this.script("sendFrom", result);
    return super.sendFrom(fd, parts, segment, side);
  }

  override takePipe(): number {
    return this.witness?.result("pipe()") ?? super.takePipe();
  }
  /** What a script lets a socket take is the space that it has. */
  override drainPipe(pipe: number, fd: number, length: number): number {
    const bytes = this.pipes[pipe]?.slice(0, length);
    const result = this.witness?.call(this.#side(fd), `send(${length})`, bytes);
    const socket = this.sockets.find((candidate) => candidate.fd === fd)!;
    socket.space = result ?? Infinity;
    if (result !== undefined && result < 0) this.script("drainPipe", result);
    return super.drainPipe(pipe, fd, length);
  }

  override discard(fd: number, length: number): number {
    const there = this.sockets.find((socket) => socket.fd === fd)?.stream.length ?? 0;
    if (length > there) throw new Error(`discards ${length} of ${there} bytes`);
    return super.discard(fd, length);
  }

  override setMaxSegment(fd: number, bytes: number): number {
    return this.#option(fd, "maxseg", bytes, undefined) ?? super.setMaxSegment(fd, bytes);
  }
  override setKeepAlive(fd: number): number {
    return this.#option(fd, "keepalive", true, false) ?? super.setKeepAlive(fd);
  }
  override setHopLimit(fd: number, v6: boolean, hops: number): number {
    return this.#option(fd, "ttl", hops, 64) ?? super.setHopLimit(fd, v6, hops);
  }
  override setDontFragment(fd: number, v6: boolean, on: boolean): number {
    return this.#option(fd, "df", on, true) ?? super.setDontFragment(fd, v6, on);
  }
  override setBroadcast(fd: number): number {
    return this.#option(fd, "broadcast", true, false) ?? super.setBroadcast(fd);
  }

  /** A call that opens a descriptor counts only where the script says how it fails. */
  #open(): number | undefined {
    return this.witness?.result("socket()");
  }

  #tell(method: keyof Host, fd: number, text: string): void {
    const result = this.witness?.call(this.#side(fd), text, undefined);
    if (result !== undefined) this.script(method, result);
  }

  /** An option that has its value already is no event. */
  #option(fd: number, name: string, value: number | boolean, initial: unknown): number | undefined {
    const key = `${fd} ${name}`;
    if ((this.#values.get(key) ?? initial) === value) return undefined;
    this.#values.set(key, value);
    const argument = value === true ? (name === "df" ? "on" : "") : value === false ? "off" : `${value}`;
    return this.witness?.call(this.#side(fd), `${name}(${argument})`, undefined);
  }

  #side(fd: number): number {
    return this.#sideOf.get(fd) ?? -1;
  }

  #gather(parts: number): Uint8Array {
    const pieces = this.#pieces.slice(0, parts);
    return Buffer.concat(pieces.map(({ at, length }) => this.arena.bytes.slice(at, at + length)));
  }

  #address(flow: number, word: number): string {
    return this.#end((flow << 1) | TARGET, word);
  }

  /** "address:port" of one end of a side. */
  #end(side: number, word: number): string {
    const { sides } = this.#table;
    const words = wordsOf(side);
    const port = word === SideWord.Ours ? oursPort(sides, words) : endpointPort(sides, words);
    return endpointText(formatIp(sides, words + word), port);
  }
}

/** An address with a port; IPv6 in brackets. */
export const endpointText = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
