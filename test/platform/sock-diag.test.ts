/** We rely on: the kernel lists the sockets that wait for clients, with family, port, interface and owner. */
import { afterEach, beforeAll, afterAll, expect, test } from "@jest/globals";
import { fstatSync } from "node:fs";
import { formatIp } from "../../src/base/address.ts";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { openListener, type ListenOptions } from "../../src/kernel/listen.ts";
import { SockDiag } from "../../src/kernel/sock-diag.ts";
import { connect, openUdp } from "../../src/kernel/socket.ts";
import { FAMILIES, LOOPBACK4, LOOPBACK6, portOf } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

let diag: SockDiag;
beforeAll(() => {
  diag = SockDiag.open();
});
afterAll(() => diag.close());

const PROTOCOLS = [c.IPPROTO_TCP, c.IPPROTO_UDP];

function listener(protocol: number, options: Partial<ListenOptions>): number {
  const defaults = { address: undefined, v6: true, port: 0, device: undefined, freebind: false };
  const fd = check(openListener({ ...defaults, protocol, ...options }), "listen");
  open.push(fd);
  return fd;
}

/** What is listed under the port of a socket of ours. */
function listed(protocol: number, fd: number): Record<string, unknown>[] {
  const sockets: Record<string, unknown>[] = [];
  for (const v6 of [false, true]) {
    const result = diag.dump(protocol, v6, ({ address, ...socket }) =>
      sockets.push({ address: formatIp(address), ...socket }),
    );
    expect(result).toBe(0);
  }
  return sockets.filter(({ port }) => port === portOf(fd));
}

test.each(PROTOCOLS)("protocol %s: what is bound, where, to which interface, by whom", (protocol) => {
  const any = { index: 0, isDual: false };
  const cases = [
    { options: {}, found: { ...any, address: "::", isDual: true } },
    { options: { address: new Uint32Array(4) }, found: { ...any, address: "::" } },
    { options: { v6: false }, found: { ...any, address: "0.0.0.0" } },
    { options: { v6: false, address: LOOPBACK4 }, found: { ...any, address: "127.0.0.1" } },
    { options: { address: LOOPBACK6 }, found: { ...any, address: "::1" } },
    { options: { v6: false, device: "lo" }, found: { ...any, address: "0.0.0.0", index: 1 } },
  ];
  for (const { options, found } of cases) {
    const fd = listener(protocol, options);
    expect(listed(protocol, fd)).toEqual([
      { ...found, port: portOf(fd), uid: process.getuid!(), inode: fstatSync(fd).ino },
    ]);
  }
});

test.each(FAMILIES)("$name: a datagram socket with a peer waits for nobody else", ({ v6, loopback }) => {
  const fd = check(openUdp(v6), "socket");
  open.push(fd);
  check(connect(fd, loopback, 0, 9, 0), "connect");
  expect(listed(c.IPPROTO_UDP, fd)).toEqual([]);
});

test("thousands are listed, each once, and what is closed is gone", () => {
  const ours = Array.from({ length: 3000 }, () => listener(c.IPPROTO_TCP, { v6: false, address: LOOPBACK4 }));
  const inodes = new Set(ours.map((fd) => fstatSync(fd).ino));
  const seen: number[] = [];
  expect(diag.dump(c.IPPROTO_TCP, false, ({ inode }) => void (inodes.has(inode) && seen.push(inode)))).toBe(
    0,
  );
  expect([seen.length, new Set(seen).size]).toEqual([3000, 3000]);
  open.splice(0).forEach(close);
  const left: number[] = [];
  diag.dump(c.IPPROTO_TCP, false, ({ inode }) => void (inodes.has(inode) && left.push(inode)));
  expect(left).toEqual([]);
});

test("a dump that was given up does not disturb the next", () => {
  for (let i = 0; i < 3000; i++) listener(c.IPPROTO_TCP, { v6: false, address: LOOPBACK4 });
  const stop = new Error("enough");
  expect(() =>
    diag.dump(c.IPPROTO_TCP, false, () => {
      throw stop;
    }),
  ).toThrow(stop);
  let count = 0;
  expect(diag.dump(c.IPPROTO_TCP, false, () => count++)).toBe(0);
  expect(count).toBeGreaterThanOrEqual(3000);
});
