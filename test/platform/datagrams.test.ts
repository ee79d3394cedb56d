/** We rely on: UDP_SEGMENT cuts trains, UDP_GRO gathers them, and a receive of no bytes takes a datagram away. */
import { afterEach, describe, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { endpointPort, oursPort, SideWord, wordsOf } from "../../src/flow/table.ts";
import { Pif } from "../../src/flow/state.ts";
import { setOption } from "../../src/kernel/socket.ts";
import { bench, boundUdp, FAMILIES, portOf, type Bench } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

const AT = 65536;
const IN = 1 << 20;

function pair(b: Bench, v6: boolean, loopback: Uint32Array): { fd: number; peer: number; flow: number } {
  const peer = boundUdp(v6);
  const flow = b.flowTo(loopback, portOf(peer), c.IPPROTO_UDP);
  const fd = check(b.host.openUdp(v6, Pif.Host), "openUdp");
  open.push(fd, peer);
  check(b.host.bind(fd, flow), "bind");
  check(b.host.connect(fd, flow), "connect");
  return { fd, peer, flow };
}

describe.each(FAMILIES)("$name", ({ v6, loopback }) => {
  test("connect leaves the local address and port to be read back", () => {
    const b = bench();
    const { fd, flow } = pair(b, v6, loopback);
    expect(b.host.readLocal(fd, flow)).toBe(0);
    const words = wordsOf((flow << 1) | 1);
    expect([...b.table.sides.subarray(words + SideWord.Ours, words + SideWord.Ours + 4)]).toEqual([
      ...loopback,
    ]);
    expect(oursPort(b.table.sides, words)).toBe(portOf(fd));
    expect(endpointPort(b.table.sides, words)).not.toBe(0);
  });

  test("a port that somebody has is refused, even to those who would share it", () => {
    const b = bench();
    const first = pair(b, v6, loopback);
    const flow = b.flowTo(loopback, 9, c.IPPROTO_UDP);
    b.table.sides[wordsOf((flow << 1) | 1) + SideWord.Ports] |= portOf(first.fd) << 16;
    const fd = check(b.host.openUdp(v6, Pif.Host), "openUdp");
    open.push(fd);
    check(setOption(fd, c.SOL_SOCKET, c.SO_REUSEADDR, 1), "setsockopt");
    expect(b.host.bind(fd, flow)).toBe(-c.EADDRINUSE);
  });

  test("parts leave as one datagram", () => {
    const b = bench();
    const { fd, peer } = pair(b, v6, loopback);
    b.put(AT, "hello");
    b.put(AT + 100, " world");
    b.host.part(0, AT, 5);
    b.host.part(1, AT + 100, 6);
    expect(b.host.send(fd, 2)).toBe(11);
    expect(b.host.receive(peer, IN, 65536)).toBe(11);
    expect(b.host.receivedSegment).toBe(0);
    expect(b.get(IN, 11)).toBe("hello world");
    expect(b.host.receive(peer, IN, 65536)).toBe(-c.EAGAIN);
  });

  test("1,024 parts leave as one datagram", () => {
    const b = bench();
    const { fd, peer } = pair(b, v6, loopback);
    for (let i = 0; i < 1024; i++) {
      b.host.arena.bytes[AT + i] = i;
      b.host.part(i, AT + i, 1);
    }
    expect(b.host.send(fd, 1024)).toBe(1024);
    expect(b.host.receive(peer, IN, 65536)).toBe(1024);
    expect(b.host.arena.bytes.subarray(IN, IN + 1024)).toEqual(b.host.arena.bytes.subarray(AT, AT + 1024));
  });

  test("a train arrives whole, with the size of its datagrams; the last may be shorter", () => {
    const b = bench();
    const { fd, peer } = pair(b, v6, loopback);
    for (let i = 0; i < 5; i++) b.host.part(i, AT + 1000 * i, i === 4 ? 300 : 1000);
    expect(b.host.sendTrain(fd, 5, 1000)).toBe(4300);
    expect(b.host.receive(peer, IN, 65536)).toBe(4300);
    expect(b.host.receivedSegment).toBe(1000);
    b.host.part(0, AT, 7);
    expect(b.host.send(fd, 1)).toBe(7);
    expect(b.host.receive(peer, IN, 65536)).toBe(7);
    expect(b.host.receivedSegment).toBe(0);
  });

  test("a train of one datagram is a datagram", () => {
    const b = bench();
    const { fd, peer } = pair(b, v6, loopback);
    b.host.part(0, AT, 900);
    expect(b.host.sendTrain(fd, 1, 1000)).toBe(900);
    expect(b.host.receive(peer, IN, 65536)).toBe(900);
    expect(b.host.receivedSegment).toBe(0);
  });

  test("without UDP_GRO a train arrives one by one", () => {
    const b = bench();
    const { fd, peer } = pair(b, v6, loopback);
    check(setOption(peer, c.IPPROTO_UDP, c.UDP_GRO, 0), "setsockopt");
    for (let i = 0; i < 3; i++) b.host.part(i, AT + 500 * i, 500);
    expect(b.host.sendTrain(fd, 3, 500)).toBe(1500);
    const sizes = Array.from({ length: 4 }, () => b.host.receive(peer, IN, 65536));
    expect(sizes).toEqual([500, 500, 500, -c.EAGAIN]);
  });

  test("an empty datagram is carried, and a receive of no bytes takes one datagram away", () => {
    const b = bench();
    const { fd, peer } = pair(b, v6, loopback);
    b.host.part(0, AT, 0);
    expect(b.host.send(fd, 1)).toBe(0);
    expect(b.host.receive(peer, IN, 65536)).toBe(0);
    expect(b.host.receive(peer, IN, 65536)).toBe(-c.EAGAIN);
    for (const text of ["first", "second"]) {
      b.host.part(0, AT, b.put(AT, text));
      b.host.send(fd, 1);
    }
    expect(b.host.receive(peer, IN, 0)).toBe(0);
    expect(b.host.receive(peer, IN, 65536)).toBe(6);
  });
});
