/**
 * We rely on: with SO_PEEK_OFF a peek goes on where the last one ended, discarding keeps the position on its byte,
 * and it may be moved back. The way without SO_PEEK_OFF must behave the same, so both run the same tests.
 */
import { afterEach, describe, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { send } from "../../src/ffi/libc-socket.ts";
import { bench, connection, FAMILIES, LOOPBACK4, LOOPBACK6, type Bench } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

const AT = 8192;
const OUT = 1 << 20;
/** @see bits/socket.h */
const MSG_OOB = 1;

function connect(b: Bench, v6: boolean): { fd: number; peer: number } {
  const { fd, peer } = connection(b, v6);
  open.push(fd, peer);
  return { fd, peer };
}

function say(b: Bench, peer: number, text: string): void {
  b.host.part(0, OUT, b.put(OUT, text));
  expect(b.host.send(peer, 1)).toBe(text.length);
}

/** What one peek of `length` bytes gives: the bytes, or its result when there are none. */
function peek(b: Bench, fd: number, length: number): string | number {
  const result = b.host.peek(fd, AT, length);
  return result > 0 ? b.get(AT, result) : result;
}

test("the probe says what the kernel can do, and can be overruled", () => {
  const { host } = bench();
  expect(typeof host.peekOffset4).toBe("boolean");
  const without = bench({ peekOffset: false }).host;
  expect([without.peekOffset4, without.peekOffset6]).toEqual([false, false]);
});

describe.each(FAMILIES)("$name", ({ v6 }) => {
  describe.each([{ peekOffset: true }, { peekOffset: false }])("with SO_PEEK_OFF: $peekOffset", (options) => {
    test("peeks go on where the last ended", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      expect(peek(b, fd, 10)).toBe(-c.EAGAIN);
      say(b, peer, "abcdefgh");
      expect([peek(b, fd, 3), peek(b, fd, 3), peek(b, fd, 9)]).toEqual(["abc", "def", "gh"]);
      expect(peek(b, fd, 10)).toBe(-c.EAGAIN);
      say(b, peer, "ij");
      expect(peek(b, fd, 10)).toBe("ij");
    });

    test("discarding keeps the position on its byte", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      say(b, peer, "abcdefgh");
      expect(peek(b, fd, 5)).toBe("abcde");
      expect(b.host.discard(fd, 4)).toBe(4);
      expect(peek(b, fd, 2)).toBe("fg");
      expect(b.host.discard(fd, 3)).toBe(3);
      expect(peek(b, fd, 9)).toBe("h");
      expect(b.host.discard(fd, 1)).toBe(1);
      expect(b.host.discard(fd, 1)).toBe(-c.EAGAIN);
    });

    test("the position moves back to any byte not discarded", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      say(b, peer, "abcdefgh");
      expect(peek(b, fd, 8)).toBe("abcdefgh");
      expect(b.host.discard(fd, 2)).toBe(2);
      expect(b.host.setPeekOffset(fd, 0)).toBe(0);
      expect(peek(b, fd, 3)).toBe("cde");
      expect(b.host.setPeekOffset(fd, 5)).toBe(0);
      expect(peek(b, fd, 8)).toBe("h");
    });

    test("the end of the stream shows as 0, with and without bytes before it", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      say(b, peer, "abc");
      expect(peek(b, fd, 9)).toBe("abc");
      check(b.host.shutdownWrite(peer), "shutdown");
      expect([peek(b, fd, 9), peek(b, fd, 9)]).toEqual([0, 0]);
      expect(b.host.discard(fd, 3)).toBe(3);
      expect(peek(b, fd, 9)).toBe(0);
      expect(b.host.discard(fd, 1)).toBe(0);
    });

    test("the end of a stream closed by both sides shows as 0", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      say(b, peer, "abc");
      expect(peek(b, fd, 2)).toBe("ab");
      check(b.host.shutdownWrite(fd), "shutdown");
      check(b.host.shutdownWrite(peer), "shutdown");
      expect([peek(b, fd, 9), peek(b, fd, 9)]).toEqual(["c", 0]);
    });

    test("a reset shows as ECONNRESET behind the bytes that came before it", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      say(b, peer, "abc");
      expect(peek(b, fd, 2)).toBe("ab");
      b.host.closeReset(peer);
      open.splice(open.indexOf(peer), 1);
      expect(peek(b, fd, 9)).toBe("c");
      expect(peek(b, fd, 9)).toBe(-c.ECONNRESET);
    });

    test("an urgent byte is one of the stream, which stops before it for a moment", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      say(b, peer, "abc");
      check(send(peer, b.host.arena.address + OUT, b.put(OUT, "U"), MSG_OOB), "send");
      say(b, peer, "defghi");
      check(b.host.watch(fd, b.flowTo(v6 ? LOOPBACK6 : LOOPBACK4, 1, c.IPPROTO_TCP)), "watch");
      expect(b.epoll.wait(1000)).toBe(1);
      expect(b.epoll.eventsOf(0) & c.EPOLLPRI).toBe(c.EPOLLPRI);
      expect(peek(b, fd, 5)).toBe("abc");
      expect([b.host.discard(fd, 3), peek(b, fd, 4), peek(b, fd, 5)]).toEqual([3, "Udef", "ghi"]);
      expect([b.host.setPeekOffset(fd, 1), peek(b, fd, 3)]).toEqual([0, "def"]);
      expect([b.host.discard(fd, 7), peek(b, fd, 9)]).toEqual([7, -c.EAGAIN]);
    });

    test("positions beyond 64 KiB are right", () => {
      const b = bench(options);
      const { fd, peer } = connect(b, v6);
      const { bytes } = b.host.arena;
      for (let i = 0; i < 65536; i++) bytes[OUT + i] = i * 31 + (i >> 8);
      b.host.part(0, OUT, 65536);
      while (b.host.send(peer, 1) === 65536);
      let seen = 0;
      for (;;) {
        const n = b.host.peek(fd, AT, 65536 - (seen % 65536));
        if (n <= 0) break;
        const expected = bytes.subarray(OUT + (seen % 65536), OUT + (seen % 65536) + n);
        expect(Buffer.compare(bytes.subarray(AT, AT + n), expected)).toBe(0);
        seen += n;
      }
      expect(seen).toBeGreaterThan(65536);
    });
  });
});
