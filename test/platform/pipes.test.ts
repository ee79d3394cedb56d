/** We rely on: splice moves a stream through a pipe whole, waits for nobody, and stops before an urgent byte. */
import { afterEach, describe, expect, test } from "@jest/globals";
import { readdirSync } from "node:fs";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close, fcntl } from "../../src/ffi/libc.ts";
import { send } from "../../src/ffi/libc-socket.ts";
import { scratch } from "../../src/ffi/memory.ts";
import { bench, connection, FAMILIES, type Bench } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

const OUT = 1 << 20;
const IN = 2 << 20;
/** @see bits/socket.h, linux/fcntl.h */
const MSG_OOB = 1;
const F_GETPIPE_SZ = 1032;

/** A client and a server, each with a socket of ours between which we move bytes. */
function line(b: Bench, v6: boolean) {
  const near = connection(b, v6);
  const far = connection(b, v6);
  open.push(near.peer, far.peer);
  return { client: near.peer, from: near.fd, to: far.fd, server: far.peer };
}

/** Writes as much of `length` bytes as a socket takes. */
function stuff(b: Bench, fd: number, length: number): number {
  let sent = 0;
  while (sent < length) {
    b.host.part(0, OUT, Math.min(length - sent, 65_536));
    const result = b.host.send(fd, 1);
    if (result === -c.EAGAIN) break;
    sent += check(result, "send");
  }
  return sent;
}

/** Reads all that a socket has. */
function empty(b: Bench, fd: number): number {
  let received = 0;
  for (;;) {
    const result = b.host.receive(fd, IN, 65_536);
    if (result <= 0) return received;
    received += result;
  }
}

function say(b: Bench, fd: number, text: string): void {
  b.host.part(0, OUT, b.put(OUT, text));
  expect(b.host.send(fd, 1)).toBe(text.length);
}

function pipeOf(b: Bench): number {
  return check(b.host.takePipe(), "pipe");
}

describe.each(FAMILIES)("$name", ({ v6 }) => {
  test("bytes, nothing, the end", () => {
    const b = bench();
    const { client, from, to, server } = line(b, v6);
    open.push(from, to);
    const pipe = pipeOf(b);
    expect(b.host.fillPipe(pipe, from)).toBe(-c.EAGAIN);
    say(b, client, "hello");
    expect(b.host.fillPipe(pipe, from)).toBe(5);
    expect([b.host.drainPipe(pipe, to, 2), b.host.drainPipe(pipe, to, 3)]).toEqual([2, 3]);
    expect(b.host.drainPipe(pipe, to, 1)).toBe(-c.EAGAIN);
    expect(b.host.receive(server, IN, 100)).toBe(5);
    expect(b.get(IN, 5)).toBe("hello");
    check(b.host.shutdownWrite(client), "shutdown");
    expect([b.host.fillPipe(pipe, from), b.host.fillPipe(pipe, from)]).toEqual([0, 0]);
    b.host.givePipe(pipe, true);
  });

  test("a reset is an error on both sides", () => {
    const b = bench();
    const { client, from, to, server } = line(b, v6);
    open.push(from, to);
    const pipe = pipeOf(b);
    say(b, client, "hello");
    expect(b.host.fillPipe(pipe, from)).toBe(5);
    b.host.closeReset(open.splice(open.indexOf(server), 1)[0]);
    expect(b.host.drainPipe(pipe, to, 5)).toBe(-c.ECONNRESET);
    // As a program that ignores SIGPIPE sees it.
    expect(b.host.drainPipe(pipe, to, 5)).toBe(-c.EPIPE);
    b.host.closeReset(open.splice(open.indexOf(client), 1)[0]);
    expect(b.host.fillPipe(pipe, from)).toBe(-c.ECONNRESET);
    b.host.givePipe(pipe, false);
  });

  test("a reader that does not read stops the writer, and nothing is lost", () => {
    const b = bench();
    const { client, from, to, server } = line(b, v6);
    open.push(from, to);
    const pipe = pipeOf(b);
    let sent = 0;
    let filled = 0;
    let drained = 0;
    for (let round = 0; round < 200; round++) {
      sent += stuff(b, client, 1 << 20);
      const result = b.host.fillPipe(pipe, from);
      filled += Math.max(result, 0);
      if (filled > drained) drained += Math.max(b.host.drainPipe(pipe, to, filled - drained), 0);
    }
    expect(filled).toBeGreaterThan(drained);
    expect([b.host.fillPipe(pipe, from), b.host.drainPipe(pipe, to, 1)]).toEqual([-c.EAGAIN, -c.EAGAIN]);
    let received = 0;
    while (received < sent) {
      received += empty(b, server);
      filled += Math.max(b.host.fillPipe(pipe, from), 0);
      if (filled > drained) drained += Math.max(b.host.drainPipe(pipe, to, filled - drained), 0);
    }
    expect([filled, drained, received]).toEqual([sent, sent, sent]);
  });

  test("an urgent byte stays where it was sent, also behind it the end", () => {
    const b = bench();
    const { client, from, to, server } = line(b, v6);
    open.push(from, to);
    const pipe = pipeOf(b);
    scratch.bytes.set([0x21]);
    say(b, client, "ab");
    check(send(client, scratch.address, 1, MSG_OOB), "send");
    expect([b.host.fillPipe(pipe, from), b.host.drainPipe(pipe, to, 2)]).toEqual([2, 2]);
    expect(b.host.fillPipe(pipe, from)).toBe(-c.EAGAIN);
    check(b.host.shutdownWrite(client), "shutdown");
    expect(b.host.fillPipe(pipe, from)).toBeLessThanOrEqual(0);
    expect(b.host.read(from, IN, 100)).toBe(1);
    b.host.writePipe(pipe, IN, 1);
    expect(b.host.drainPipe(pipe, to, 1)).toBe(1);
    expect([b.host.fillPipe(pipe, from), b.host.read(from, IN, 100)]).toEqual([0, 0]);
    expect(b.host.receive(server, IN, 100)).toBe(3);
    expect(b.get(IN, 3)).toBe("ab!");
  });
});

const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

test("an empty pipe is used again, and is large; one with bytes in it is not", () => {
  const b = bench();
  const pipe = pipeOf(b);
  expect(fcntl(pipe, F_GETPIPE_SZ, 0)).toBeGreaterThanOrEqual(65_536);
  b.host.givePipe(pipe, true);
  expect(b.host.takePipe()).toBe(pipe);
  const before = openDescriptors();
  b.host.givePipe(pipe, false);
  expect(openDescriptors()).toBe(before - 2);
});

test("few of many pipes are kept", () => {
  const b = bench();
  const pipes = Array.from({ length: 200 }, () => pipeOf(b));
  pipes.forEach((pipe) => b.host.givePipe(pipe, true));
  const isOpen = pipes.filter((pipe) => fcntl(pipe, F_GETPIPE_SZ, 0) > 0);
  expect(isOpen.length).toBe(16);
});

test("no pipe has descriptors beyond the limit", () => {
  const b = bench({ fdLimit: 0 });
  const before = openDescriptors();
  expect(b.host.takePipe()).toBe(-c.EMFILE);
  expect(openDescriptors()).toBe(before);
});
