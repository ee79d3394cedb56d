/** A host over real sockets on the loopback interface, and what a test needs to talk to it. */
import { ipv4Words } from "../../src/base/address.ts";
import { type HostOptions, KernelHost } from "../../src/engine/host.ts";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { listen } from "../../src/ffi/libc-socket.ts";
import { allocate } from "../../src/ffi/memory.ts";
import { Pif } from "../../src/flow/state.ts";
import { FlowTable, packKind, packPorts, SideWord, type FlowIndex } from "../../src/flow/table.ts";
import { Epoll } from "../../src/kernel/epoll.ts";
import * as socket from "../../src/kernel/socket.ts";

export const LOOPBACK4 = ipv4Words(0x7f000001);
export const LOOPBACK6 = Uint32Array.of(0, 0, 0, 1);
export const FLOW_KIND = 7;
export const FAMILIES = [
  { name: "IPv4", v6: false, loopback: LOOPBACK4 },
  { name: "IPv6", v6: true, loopback: LOOPBACK6 },
];

export interface Bench {
  readonly host: KernelHost;
  readonly table: FlowTable;
  readonly epoll: Epoll;
  /** Makes a flow whose target is that address and port. */
  flowTo(address: Uint32Array, port: number, protocol: number): FlowIndex;
  /** Writes text into the arena. */
  put(at: number, text: string): number;
  get(at: number, length: number): string;
}

export function bench(options: Partial<Pick<HostOptions, "peekOffset" | "fdLimit" | "scope">> = {}): Bench {
  const arena = allocate(4 << 20);
  const table = new FlowTable(64, Uint32Array.of(1, 2, 3, 4));
  const epoll = new Epoll(16);
  const host = new KernelHost({
    arena,
    table,
    epoll,
    tapFd: -1,
    flowKind: FLOW_KIND,
    errorAt: 0,
    scope: 0,
    peekOffset: true,
    ...options,
  });
  return {
    host,
    table,
    epoll,
    flowTo(address, port, protocol) {
      const flow = table.allocate();
      table.key.fill(0);
      table.key[SideWord.Kind] = packKind(protocol, Pif.Tap);
      table.initiate(flow);
      table.key.set(address, SideWord.Endpoint);
      table.key[SideWord.Ports] = packPorts(0, port);
      table.key[SideWord.Kind] = packKind(protocol, Pif.Host);
      table.target(flow);
      table.setType(flow, 1);
      table.activate(flow);
      return flow;
    },
    put: (at, text) => new TextEncoder().encodeInto(text, arena.bytes.subarray(at)).written,
    get: (at, length) => Buffer.from(arena.bytes.subarray(at, at + length)).toString("utf8"),
  };
}

const words = new Uint32Array(4);

/** The port that a socket is bound to. */
export const portOf = (fd: number): number => check(socket.localAddress(fd, words, 0), "getsockname");

/** A datagram socket on a free port of that loopback address. */
export function boundUdp(v6: boolean): number {
  const fd = check(socket.openUdp(v6), "socket");
  check(socket.bind(fd, v6 ? LOOPBACK6 : LOOPBACK4, 0, 0, 0), "bind");
  return fd;
}

/** A listening socket on a free port of that loopback address. */
export function listeningTcp(v6: boolean): number {
  const fd = check(socket.openTcp(v6), "socket");
  check(socket.bind(fd, v6 ? LOOPBACK6 : LOOPBACK4, 0, 0, 0), "bind");
  check(listen(fd, 8), "listen");
  return fd;
}

/** A connection of the host, watched by its epoll, and the descriptor of its peer. */
export function connection(b: Bench, v6: boolean): { fd: number; peer: number; flow: FlowIndex } {
  const listener = listeningTcp(v6);
  const flow = b.flowTo(v6 ? LOOPBACK6 : LOOPBACK4, portOf(listener), c.IPPROTO_TCP);
  const fd = check(b.host.openTcp(v6, Pif.Host), "openTcp");
  const result = b.host.connect(fd, flow);
  if (result !== -c.EINPROGRESS) check(result, "connect");
  const peer = check(socket.accept(listener, words, 0), "accept");
  b.host.close(listener);
  return { fd, peer, flow };
}
