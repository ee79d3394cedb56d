/** We rely on: the 64 bits that go with a descriptor come back whole, and events come on edges as described here. */
import { afterEach, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close, pipe2, read, write } from "../../src/ffi/libc.ts";
import { scratch } from "../../src/ffi/memory.ts";
import { Epoll } from "../../src/kernel/epoll.ts";
import { Pif } from "../../src/flow/state.ts";
import { TARGET } from "../../src/flow/table.ts";
import { bench, boundUdp, connection, portOf, LOOPBACK4 } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

function pipe(): [number, number] {
  check(pipe2(scratch.address, c.O_NONBLOCK | c.O_CLOEXEC), "pipe2");
  const ends: [number, number] = [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
  open.push(...ends);
  return ends;
}

test("kind and index return as they were given, over 32 bits each", () => {
  const epoll = new Epoll(8);
  const tags = [
    [0xffff_ffff, 0],
    [0, 0xffff_ffff],
    [0x8000_0001, 0x1234_5678],
  ];
  for (const [kind, index] of tags) {
    const [reader, writer] = pipe();
    check(epoll.add(reader, c.EPOLLIN, kind, index), "epoll_ctl");
    check(write(writer, scratch.address, 1), "write");
  }
  const count = epoll.wait(0);
  const seen = Array.from({ length: count }, (_, i) => [epoll.kindOf(i), epoll.indexOf(i)]);
  expect(seen).toEqual(tags);
  expect(epoll.eventsOf(0)).toBe(c.EPOLLIN);
  epoll.close();
});

test("more events than the array holds come with the next waits", () => {
  const epoll = new Epoll(2);
  for (let i = 0; i < 3; i++) {
    const [reader, writer] = pipe();
    check(epoll.add(reader, c.EPOLLIN | c.EPOLLET, 0, i), "epoll_ctl");
    check(write(writer, scratch.address, 1), "write");
  }
  expect([epoll.wait(0), epoll.wait(0), epoll.wait(0)]).toEqual([2, 1, 0]);
  epoll.close();
});

test("a level-triggered descriptor reports until it is read, modified or removed", () => {
  const epoll = new Epoll(2);
  const [reader, writer] = pipe();
  check(epoll.add(reader, c.EPOLLIN, 1, 1), "epoll_ctl");
  check(write(writer, scratch.address, 2), "write");
  expect([epoll.wait(0), epoll.wait(0)]).toEqual([1, 1]);
  check(epoll.modify(reader, 0, 1, 1), "epoll_ctl");
  expect(epoll.wait(0)).toBe(0);
  check(epoll.modify(reader, c.EPOLLIN, 2, 3), "epoll_ctl");
  expect([epoll.wait(0), epoll.kindOf(0), epoll.indexOf(0)]).toEqual([1, 2, 3]);
  check(read(reader, scratch.address, 2), "read");
  expect(epoll.wait(0)).toBe(0);
  check(write(writer, scratch.address, 1), "write");
  check(epoll.remove(reader), "epoll_ctl");
  expect(epoll.wait(0)).toBe(0);
  epoll.close();
});

test("a stream reports writable once, and again only after it refused bytes and drained", () => {
  const b = bench();
  const { fd, peer, flow } = connection(b, false);
  open.push(fd, peer);
  check(b.host.watch(fd, (flow << 1) | TARGET), "watch");
  expect(b.epoll.wait(100)).toBe(1);
  expect(b.epoll.eventsOf(0)).toBe(c.EPOLLOUT);
  b.host.part(0, 4096, 65536);
  check(b.host.send(fd, 1), "send");
  expect(b.epoll.wait(0)).toBe(0);
  check(b.host.receive(peer, 4096, 65536), "receive");
  expect(b.epoll.wait(10)).toBe(0);

  let result = 0;
  while ((result = b.host.send(fd, 1)) > 0);
  expect(result).toBe(-c.EAGAIN);
  expect(b.epoll.wait(0)).toBe(0);
  while ((result = b.host.receive(peer, 4096, 1 << 20)) > 0);
  expect(b.epoll.wait(1000)).toBe(1);
  expect(b.epoll.eventsOf(0)).toBe(c.EPOLLOUT);
});

test("a stream reports data and the peer's half-close, each once", () => {
  const b = bench();
  const { fd, peer, flow } = connection(b, true);
  open.push(fd, peer);
  check(b.host.watch(fd, (flow << 1) | TARGET), "watch");
  b.epoll.wait(100);
  b.host.part(0, 4096, 5);
  check(b.host.send(peer, 1), "send");
  expect(b.epoll.wait(100)).toBe(1);
  expect(b.epoll.eventsOf(0) & c.EPOLLIN).toBe(c.EPOLLIN);
  expect(b.epoll.wait(10)).toBe(0);
  check(b.host.shutdownWrite(peer), "shutdown");
  expect(b.epoll.wait(100)).toBe(1);
  expect(b.epoll.eventsOf(0) & c.EPOLLRDHUP).toBe(c.EPOLLRDHUP);
  expect(b.epoll.wait(10)).toBe(0);
});

test("a watched datagram socket says nothing of what it sends", () => {
  const b = bench();
  const peer = boundUdp(false);
  const flow = b.flowTo(LOOPBACK4, portOf(peer), c.IPPROTO_UDP);
  const fd = check(b.host.openUdp(false, Pif.Host), "openUdp");
  open.push(fd, peer);
  check(b.host.connect(fd, flow), "connect");
  check(b.host.watch(fd, (flow << 1) | TARGET), "watch");
  b.host.part(0, 4096, 10);
  check(b.host.send(fd, 1), "send");
  check(b.host.receive(peer, 8192, 100), "receive");
  expect(b.epoll.wait(10)).toBe(0);
});

test("closing the only descriptor ends its events", () => {
  const b = bench();
  const { fd, peer, flow } = connection(b, false);
  check(b.host.watch(fd, (flow << 1) | TARGET), "watch");
  b.host.close(fd);
  b.host.close(peer);
  expect(b.epoll.wait(10)).toBe(0);
});
