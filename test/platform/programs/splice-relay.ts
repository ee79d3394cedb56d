/**
 * The loopback bypass over real sockets, with both loopbacks being the same: connections to the port that it prints go
 * on to port argv[2] of the same address. Ends with its standard input.
 */
import { KernelHost } from "../../../src/engine/host.ts";
import { EventKind, Loop } from "../../../src/engine/loop.ts";
import * as c from "../../../src/ffi/constants.ts";
import { check } from "../../../src/ffi/errno.ts";
import { listen } from "../../../src/ffi/libc-socket.ts";
import { allocate } from "../../../src/ffi/memory.ts";
import { Pif } from "../../../src/flow/state.ts";
import { Epoll } from "../../../src/kernel/epoll.ts";
import * as socket from "../../../src/kernel/socket.ts";
import type { Net } from "../../../src/proto/net.ts";
import { Stack } from "../../../src/proto/stack.ts";
import { FakeNet } from "../../support/fake-net.ts";

const LOOPBACK = Uint32Array.of(0, 0, 0xffff, 0x7f000001);
const target = Number(process.argv[2]);

const { host: _, ...rest } = new FakeNet({ capacity: 4096 });
const epoll = new Epoll();
const host = new KernelHost({
  arena: allocate(8 << 20),
  table: rest.flows,
  epoll,
  tapFd: -1,
  flowKind: EventKind.Flow,
  errorAt: 0,
  scope: 0,
  peekOffset: true,
});
const net: Net = { ...rest, host };
const stack = new Stack(net);

const listener = check(socket.openTcp(false), "socket");
check(socket.bind(listener, LOOPBACK, 0, 0, 0), "bind");
check(listen(listener, 4096), "listen");
const port = check(socket.localAddress(listener, new Uint32Array(4), 0), "getsockname");
const slot = net.listeners.add(listener, port, {
  pif: Pif.Splice,
  protocol: c.IPPROTO_TCP,
  listen: undefined,
  device: undefined,
  first: port,
  last: port,
  target: undefined,
  targetFirst: target,
  weak: false,
  scan: false,
});
check(epoll.add(listener, c.EPOLLIN | c.EPOLLET, EventKind.Listener, slot), "epoll_ctl");

const loop = new Loop(epoll, host, stack, -1, {
  watch: () => {},
  timer: () => {},
  statistics: () => {},
  follow: () => {},
  control: () => {},
  tapLost: () => {},
});
loop.start();
process.stdin.resume().on("end", () => {
  stack.shutdown();
  loop.stop();
});
console.log(port);
