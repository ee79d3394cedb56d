/** We rely on: SO_LINGER resets, a refused connection says so, and options take effect on our sockets. */
import { afterEach, describe, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { Pif } from "../../src/flow/state.ts";
import { TARGET } from "../../src/flow/table.ts";
import { getOption, openUdp } from "../../src/kernel/socket.ts";
import { bench, connection, FAMILIES, listeningTcp, portOf } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

describe.each(FAMILIES)("$name", ({ v6, loopback }) => {
  test("only a stream that was ended shows at the peer as an end, any other as a reset", () => {
    const b = bench();
    const [reset, ended, cut] = Array.from({ length: 3 }, () => connection(b, v6));
    open.push(reset.peer, ended.peer, cut.peer);
    b.host.closeReset(reset.fd);
    check(b.host.shutdownWrite(ended.fd), "shutdown");
    b.host.close(ended.fd);
    // As the kernel does when it kills an engine.
    close(cut.fd);
    expect(b.host.receive(reset.peer, 4096, 10)).toBe(-c.ECONNRESET);
    expect(b.host.receive(ended.peer, 4096, 10)).toBe(0);
    expect(b.host.receive(cut.peer, 4096, 10)).toBe(-c.ECONNRESET);
  });

  test("a refused connection reports itself and its error once", () => {
    const b = bench();
    const listener = listeningTcp(v6);
    const flow = b.flowTo(loopback, portOf(listener), c.IPPROTO_TCP);
    close(listener);
    const fd = check(b.host.openTcp(v6, Pif.Host), "openTcp");
    open.push(fd);
    expect(b.host.connect(fd, flow)).toBe(-c.EINPROGRESS);
    check(b.host.watch(fd, (flow << 1) | TARGET), "watch");
    expect(b.epoll.wait(1000)).toBe(1);
    expect(b.epoll.eventsOf(0) & (c.EPOLLERR | c.EPOLLHUP)).toBe(c.EPOLLERR | c.EPOLLHUP);
    expect(b.host.takeError(fd)).toBe(c.ECONNREFUSED);
    expect(b.host.takeError(fd)).toBe(0);
  });

  test("sockets have the options asked for", () => {
    const b = bench();
    const fd = check(b.host.openTcp(v6, Pif.Host), "openTcp");
    open.push(fd);
    expect(getOption(fd, c.IPPROTO_TCP, c.TCP_NODELAY)).toBe(1);
    expect(b.host.setMaxSegment(fd, 1300)).toBe(0);
    expect(b.host.setKeepAlive(fd)).toBe(0);
    expect(getOption(fd, c.SOL_SOCKET, c.SO_KEEPALIVE)).toBe(1);
    expect(b.host.setLocal(fd)).toBe(0);
    // The first four bytes of a name.
    const unpaced = ["reno", "cubi"].map((name) => Buffer.from(name).readInt32LE());
    expect(unpaced).toContain(getOption(fd, c.IPPROTO_TCP, c.TCP_CONGESTION));
    const udp = check(b.host.openUdp(v6, Pif.Host), "openUdp");
    open.push(udp);
    expect(b.host.setHopLimit(udp, v6, 33)).toBe(0);
    expect(
      v6 ? getOption(udp, c.IPPROTO_IPV6, c.IPV6_UNICAST_HOPS) : getOption(udp, c.IPPROTO_IP, c.IP_TTL),
    ).toBe(33);
    expect(b.host.setDontFragment(udp, v6, true)).toBe(0);
    expect(b.host.setBroadcast(udp)).toBe(0);
    expect(b.host.bindToDevice(udp, "lo")).toBe(0);
    expect(b.host.bindToDevice(udp, "no-such-device")).toBe(-c.ENODEV);
  });
});

test("sockets beyond the limit of descriptors are refused, and closed", () => {
  const { host } = bench({ fdLimit: 0 });
  const next = openUdp(false);
  close(next);
  expect([host.openTcp(false, Pif.Host), host.openUdp(true, Pif.Host)]).toEqual([-c.EMFILE, -c.EMFILE]);
  open.push(openUdp(false));
  expect(open).toEqual([next]);
});

test("releasing memory zeroes whole pages inside the range and nothing else", () => {
  const { host } = bench();
  const { bytes } = host.arena;
  bytes.fill(1, 8192, 8192 + 4 * 4096);
  host.release(8192 + 1, 3 * 4096);
  expect([bytes[8192], bytes[8192 + 4096], bytes[8192 + 3 * 4096 - 1], bytes[8192 + 3 * 4096]]).toEqual([
    1, 0, 0, 1,
  ]);
});
