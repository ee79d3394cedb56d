/**
 * The system as protocols see it, in memory: a clock that stands still, sockets that do what a test scripts, and a
 * record of everything that was asked of them. Whatever the kernel would refuse as the defect of a caller (memory
 * out of range, a closed descriptor) throws.
 */
import { formatIp } from "../../src/base/address.ts";
import { type Arena, plainArena } from "../../src/base/arena.ts";
import {
  endpointPort,
  oursPort,
  packPorts,
  SideWord,
  TARGET,
  wordsOf,
  type FlowTable,
} from "../../src/flow/table.ts";
import { Pif } from "../../src/flow/state.ts";
import type { Host, SocketError } from "../../src/proto/host.ts";
import { FakeNeighbourhood } from "./fake-neighbourhood.ts";
import { type FakeClient, FakeSocket, type SocketKind } from "./fake-socket.ts";

const EAGAIN = -11;
const EBADF = -9;
const EINPROGRESS = -115;
/** Bytes that a pipe takes in one go. */
const PIPE_BYTES = 65_536;
/** As if standard streams, TAP and epoll were open. */
const FIRST_FD = 5;
/** Bytes kept for the payload of an error; at the end of the arena. */
const ERROR_PAYLOAD = 1232;

export class FakeHost extends FakeNeighbourhood implements Host {
  readonly arena: Arena;
  nowMs = 1000;
  readonly error: SocketError;
  receivedSegment = 0;
  /** Frames to the container, each with its virtio_net_hdr. */
  readonly frames: Uint8Array[] = [];
  /** All sockets ever opened, in order. */
  readonly sockets: FakeSocket[] = [];
  /** Every call that changes something, as text, in order. */
  readonly calls: string[] = [];
  /** What each pipe holds; undefined once it is given back. */
  readonly pipes: (Uint8Array | undefined)[] = [];
  /** Arena ranges given back. */
  readonly released: { at: number; length: number }[] = [];
  readonly #table: FlowTable;
  readonly #results = new Map<string, number[]>();
  readonly #parts: { at: number; length: number }[] = [];
  readonly #size: number;
  #nextPort = 40_000;

  /** @param arenaLength bytes the protocols may use */
  constructor(table: FlowTable, arenaLength: number) {
    super();
    this.#table = table;
    this.#size = arenaLength;
    this.arena = plainArena(arenaLength + ERROR_PAYLOAD);
    const nothing = { errno: 0, origin: 0, type: 0, code: 0, info: 0, payloadLength: 0 };
    this.error = { ...nothing, offender: new Uint32Array(4), payloadAt: arenaLength };
  }

  /** Makes the next calls of a method answer these results, one each, without doing anything. */
  script(method: keyof Host, ...results: number[]): void {
    this.#results.set(method, [...(this.#results.get(method) ?? []), ...results]);
  }

  /** The only socket there is; fails when there are more or none. */
  get socket(): FakeSocket {
    if (this.sockets.length !== 1) throw new Error(`${this.sockets.length} sockets were opened, not one`);
    return this.sockets[0];
  }

  tapWrite(at: number, length: number): number {
    this.#check(at, length);
    const scripted = this.#scripted("tapWrite");
    if (scripted !== undefined) return scripted;
    this.frames.push(this.arena.bytes.slice(at, at + length));
    return length;
  }

  openTcp(v6: boolean, pif: number): number {
    return this.#open("openTcp", "tcp", v6, pif);
  }
  openUdp(v6: boolean, pif: number): number {
    return this.#open("openUdp", "udp", v6, pif);
  }
  openPing(v6: boolean): number {
    return this.#open("openPing", "ping", v6, Pif.Host);
  }
  /** A listening socket, or one that receives from everybody. */
  listen(kind: SocketKind, v6: boolean, pif: number): FakeSocket {
    return this.#socket(this.#add(kind, v6, pif));
  }
  accept(listener: number): number {
    const scripted = this.#scripted("accept");
    if (scripted !== undefined) return scripted;
    const client = this.#socket(listener).waiting.shift();
    if (client === undefined) return EAGAIN;
    this.#setKey(client);
    const fd = this.#add("tcp", client.from[2] !== 0xffff, this.#socket(listener).pif);
    this.calls.push(`accept ${fd}`);
    return fd;
  }
  preparePeek(fd: number): void {
    this.#do("preparePeek", fd, "", (socket) => {
      socket.peekOffset = 0;
    });
  }

  bind(fd: number, flow: number): number {
    const text = this.#address(flow, SideWord.Ours);
    return this.#do("bind", fd, text, (socket) => {
      socket.bound = text;
    });
  }
  bindToDevice(fd: number, name: string): number {
    return this.#do("bindToDevice", fd, name, (socket) => {
      socket.device = name;
    });
  }
  connect(fd: number, flow: number): number {
    const text = this.#address(flow, SideWord.Endpoint);
    return this.#do("connect", fd, text, (socket) => {
      socket.connected = text;
    });
  }
  /** An address of TEST-NET-1 or 2001:db8::1, and a port that is new each time, where the kernel had the choice. */
  readLocal(fd: number, flow: number): number {
    return this.#do("readLocal", fd, "", () => {
      const { sides } = this.#table;
      const words = wordsOf((flow << 1) | TARGET);
      const local = sides[words + SideWord.Ours + 2] === 0xffff ? 0xc0000201 : 1;
      if (sides[words + SideWord.Ours + 3] === 0) {
        sides[words + SideWord.Ours + 3] = local;
        if (local === 1) sides[words + SideWord.Ours] = 0x20010db8;
      }
      const port = oursPort(sides, words) || this.#nextPort++;
      sides[words + SideWord.Ports] = packPorts(port, endpointPort(sides, words));
    });
  }
  watch(fd: number, side: number): number {
    return this.#do("watch", fd, "", (socket) => {
      socket.side = side;
    });
  }
  close(fd: number): void {
    this.#end(fd, "closed");
  }
  closeReset(fd: number): void {
    this.#end(fd, "reset");
  }

  part(index: number, at: number, length: number): void {
    this.#check(at, length);
    this.#parts[index] = { at, length };
  }
  send(fd: number, parts: number): number {
    return this.#send("send", fd, parts, 0);
  }
  sendTrain(fd: number, parts: number, segment: number): number {
    return this.#send("sendTrain", fd, parts, segment);
  }

  read(fd: number, at: number, length: number): number {
    this.#check(at, length);
    const scripted = this.#scripted("read");
    if (scripted !== undefined) return scripted;
    const bytes = this.#socket(fd).takeStream(length, this.#socket(fd).urgentAt === 0);
    if (typeof bytes === "number") return bytes;
    this.arena.bytes.set(bytes, at);
    return bytes.length;
  }
  peek(fd: number, at: number, length: number): number {
    this.#check(at, length);
    const scripted = this.#scripted("peek");
    if (scripted !== undefined) return scripted;
    const bytes = this.#socket(fd).peekStream(length);
    if (typeof bytes === "number") return bytes;
    this.arena.bytes.set(bytes, at);
    return bytes.length;
  }
  setPeekOffset(fd: number, offset: number): number {
    return this.#do("setPeekOffset", fd, `${offset}`, (socket) => {
      socket.peekOffset = offset;
    });
  }
  discard(fd: number, length: number): number {
    const socket = this.#socket(fd);
    const dropped = Math.min(length, socket.stream.length);
    const result = this.#do("discard", fd, `${length}`, () => {
      socket.dropStream(dropped);
      socket.peekOffset -= dropped;
    });
    return result < 0 ? result : dropped;
  }
  receive(fd: number, at: number, length: number): number {
    this.#check(at, length);
    const scripted = this.#scripted("receive");
    if (scripted !== undefined) return scripted;
    const socket = this.#socket(fd);
    if (socket.error !== 0) return -this.takeError(fd);
    const datagram = socket.inbox.shift();
    if (datagram === undefined) return EAGAIN;
    const bytes = datagram.bytes.subarray(0, length);
    this.arena.bytes.set(bytes, at);
    this.receivedSegment = datagram.segment ?? 0;
    return bytes.length;
  }
  receiveFrom(fd: number, at: number, length: number): number {
    const client = this.#socket(fd).inbox[0]?.client;
    const result = this.receive(fd, at, length);
    if (result >= 0) this.#setKey(client!);
    return result;
  }
  sendFrom(fd: number, parts: number, segment: number, side: number): number {
    const result = this.#send("sendFrom", fd, parts, segment);
    const { sides } = this.#table;
    const words = wordsOf(side);
    const from = `${formatIp(sides, words + SideWord.Ours)}:${oursPort(sides, words)}`;
    const to = `${formatIp(sides, words + SideWord.Endpoint)}:${endpointPort(sides, words)}`;
    if (result >= 0) this.#socket(fd).sent.at(-1)!.way = `${from} > ${to}`;
    return result;
  }
  readError(fd: number): number {
    const entry = this.#socket(fd).errors.shift();
    if (entry === undefined) return EAGAIN;
    const payload = (entry.payload ?? new Uint8Array(0)).subarray(0, ERROR_PAYLOAD);
    this.arena.bytes.set(payload, this.error.payloadAt);
    this.error.offender.set(entry.offender ?? new Uint32Array(4));
    this.error.errno = entry.errno;
    this.error.origin = entry.origin ?? 0;
    this.error.type = entry.type ?? 0;
    this.error.code = entry.code ?? 0;
    this.error.info = entry.info ?? 0;
    this.error.payloadLength = payload.length;
    if (entry.about !== undefined) this.#setKey(entry.about);
    return 1;
  }
  takeError(fd: number): number {
    return this.#socket(fd).takeError();
  }

  shutdownWrite(fd: number): number {
    return this.#do("shutdownWrite", fd, "", (socket) => {
      socket.writeShut = true;
    });
  }
  setMaxSegment(fd: number, bytes: number): number {
    return this.#option("setMaxSegment", fd, bytes);
  }
  setKeepAlive(fd: number): number {
    return this.#option("setKeepAlive", fd, true);
  }
  setLocal(fd: number): number {
    return this.#option("setLocal", fd, true);
  }
  setHopLimit(fd: number, _v6: boolean, hops: number): number {
    return this.#option("setHopLimit", fd, hops);
  }
  setDontFragment(fd: number, _v6: boolean, on: boolean): number {
    return this.#option("setDontFragment", fd, on);
  }
  setBroadcast(fd: number): number {
    return this.#option("setBroadcast", fd, true);
  }
  release(at: number, length: number): void {
    this.#check(at, length);
    this.arena.bytes.fill(0, at, at + length);
    this.released.push({ at, length });
  }

  takePipe(): number {
    const scripted = this.#scripted("takePipe");
    if (scripted !== undefined) return scripted;
    this.pipes.push(new Uint8Array(0));
    return this.pipes.length - 1;
  }
  givePipe(pipe: number, isEmpty: boolean): void {
    if (isEmpty && this.#pipe(pipe).length > 0) throw new Error(`pipe ${pipe} is not empty`);
    this.pipes[pipe] = undefined;
  }
  fillPipe(pipe: number, fd: number): number {
    const scripted = this.#scripted("fillPipe");
    if (scripted !== undefined) return scripted;
    const bytes = this.#socket(fd).takeStream(PIPE_BYTES, false);
    if (typeof bytes === "number") return bytes;
    this.pipes[pipe] = Buffer.concat([this.#pipe(pipe), bytes]);
    return bytes.length;
  }
  writePipe(pipe: number, at: number, length: number): void {
    this.#check(at, length);
    if (this.#pipe(pipe).length > 0) throw new Error(`pipe ${pipe} is not empty`);
    this.pipes[pipe] = this.arena.bytes.slice(at, at + length);
  }
  drainPipe(pipe: number, fd: number, length: number): number {
    const scripted = this.#scripted("drainPipe");
    if (scripted !== undefined) return scripted;
    const held = this.#pipe(pipe);
    if (length > held.length) throw new Error(`drains ${length} of ${held.length} bytes`);
    const amount = this.#socket(fd).put(held.slice(0, length));
    if (amount > 0) this.pipes[pipe] = held.slice(amount);
    return amount;
  }

  #pipe(pipe: number): Uint8Array {
    const held = this.pipes[pipe];
    if (held === undefined) throw new Error(`pipe ${pipe} is not taken`);
    return held;
  }

  /** Leaves the addresses of a client as `accept` does. */
  #setKey({ from, fromPort, to, toPort }: FakeClient): void {
    const { key } = this.#table;
    key.set(to, SideWord.Ours);
    key.set(from, SideWord.Endpoint);
    key[SideWord.Ports] = packPorts(toPort, fromPort);
  }

  #open(method: keyof Host, kind: SocketKind, v6: boolean, pif: number): number {
    const scripted = this.#scripted(method);
    if (scripted !== undefined) return scripted;
    const fd = this.#add(kind, v6, pif);
    this.calls.push(`${method} ${fd}`);
    return fd;
  }

  #add(kind: SocketKind, v6: boolean, pif: number): number {
    const fd = FIRST_FD + this.sockets.length;
    this.sockets.push(new FakeSocket(fd, kind, v6, pif));
    return fd;
  }

  #do(method: keyof Host, fd: number, detail: string, effect: (socket: FakeSocket) => void): number {
    const socket = this.#socket(fd);
    const scripted = this.#scripted(method);
    const result = scripted === undefined ? "" : ` = ${scripted}`;
    this.calls.push(`${method} ${fd}${detail === "" ? "" : ` ${detail}`}${result}`);
    if (scripted === undefined || scripted >= 0 || scripted === EINPROGRESS) effect(socket);
    return scripted ?? 0;
  }

  #option(method: keyof Host, fd: number, value: number | boolean): number {
    return this.#do(method, fd, String(value), (socket) => {
      socket.options[method] = value;
    });
  }

  #send(method: "send" | "sendTrain" | "sendFrom", fd: number, parts: number, segment: number): number {
    const socket = this.#socket(fd);
    const scripted = this.#scripted(method);
    if (scripted !== undefined) return scripted;
    if (socket.error !== 0) return -this.takeError(fd);
    const pieces = this.#parts.slice(0, parts);
    if (pieces.length < parts) throw new Error(`${method} of ${parts} parts, of which only some were set`);
    let bytes = Buffer.concat(pieces.map(({ at, length }) => this.arena.bytes.slice(at, at + length)));
    const fits = socket.kind === "tcp" ? socket.space > 0 : socket.space >= bytes.length;
    if (!fits) return EAGAIN;
    bytes = bytes.subarray(0, Math.min(bytes.length, socket.space));
    socket.space -= bytes.length;
    socket.sent.push({ bytes: Uint8Array.from(bytes), segment });
    this.calls.push(`${method} ${fd} ${bytes.length}${segment > 0 ? ` in ${segment}` : ""}`);
    return bytes.length;
  }

  #end(fd: number, how: "closed" | "reset"): void {
    const socket = this.#socket(fd);
    socket.closed = how;
    this.calls.push(how === "reset" ? `closeReset ${fd}` : `close ${fd}`);
  }

  #socket(fd: number): FakeSocket {
    const socket = this.sockets[fd - FIRST_FD] as FakeSocket | undefined;
    if (socket === undefined || socket.closed !== "open") throw new Error(`descriptor ${fd}: error ${EBADF}`);
    return socket;
  }

  #scripted(method: keyof Host): number | undefined {
    return this.#results.get(method)?.shift();
  }

  #check(at: number, length: number): void {
    const inside = Number.isInteger(at) && Number.isInteger(length) && at >= 0 && length >= 0;
    if (!inside || at + length > this.#size + ERROR_PAYLOAD) {
      throw new RangeError(`arena range ${at}+${length} of ${this.#size}`);
    }
  }

  /** "address:port" of one end of the flow's target side. */
  #address(flow: number, word: number): string {
    const { sides } = this.#table;
    const words = wordsOf((flow << 1) | TARGET);
    const port = word === SideWord.Ours ? oursPort(sides, words) : endpointPort(sides, words);
    return `${formatIp(sides, words + word)}:${port}`;
  }
}
