/** We rely on: how listening sockets share ports, which families they serve, and how one ends without losing anybody. */
import { afterEach, describe, expect, test } from "@jest/globals";
import { parseIp } from "../../src/base/address.ts";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import * as libc from "../../src/ffi/libc-socket.ts";
import { endpointPort, oursPort, SideWord } from "../../src/flow/table.ts";
import { adoptListener, openListener, retireListener, type ListenOptions } from "../../src/kernel/listen.ts";
import {
  bind,
  boundDevice,
  connect,
  getOption,
  openTcp,
  openUdp,
  setOption,
} from "../../src/kernel/socket.ts";
import { bench, boundUdp, FAMILIES, LOOPBACK4, LOOPBACK6, listeningTcp, portOf } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

const { IPPROTO_TCP: TCP, IPPROTO_UDP: UDP } = c;

/** Opens a listener; by default for TCP, on a free port of every address of both families. */
function listener(options: Partial<ListenOptions>): number {
  const fd = openListener({
    protocol: TCP,
    address: undefined,
    v6: true,
    port: 0,
    device: undefined,
    freebind: false,
    ...options,
  });
  if (fd >= 0) open.push(fd);
  return fd;
}

/** Connects: 0, or what came of it. Over the loopback interface this ends at once, unless nobody answers. */
function dial(address: Uint32Array, port: number): number {
  const fd = check(openTcp(address === LOOPBACK6), "socket");
  open.push(fd);
  const result = connect(fd, address, 0, port, 0);
  if (result !== -c.EINPROGRESS) return result;
  return connect(fd, address, 0, port, 0);
}

describe.each(FAMILIES)("$name", ({ v6, loopback }) => {
  test("a connection is taken with both its addresses and ports", () => {
    const b = bench();
    const fd = listener({ address: loopback, v6 });
    expect(b.host.accept(fd)).toBe(-c.EAGAIN);
    const client = check(openTcp(v6), "socket");
    open.push(client);
    connect(client, loopback, 0, portOf(fd), 0);
    const accepted = check(b.host.accept(fd), "accept");
    open.push(accepted);
    const { key } = b.table;
    expect([...key.subarray(SideWord.Ours, SideWord.Ours + 4)]).toEqual([...loopback]);
    expect([...key.subarray(SideWord.Endpoint, SideWord.Endpoint + 4)]).toEqual([...loopback]);
    expect([oursPort(key, 0), endpointPort(key, 0)]).toEqual([portOf(fd), portOf(client)]);
    expect(getOption(accepted, c.IPPROTO_TCP, c.TCP_NODELAY)).toBe(1);
    expect(getOption(accepted, c.SOL_SOCKET, c.SO_OOBINLINE)).toBe(1);
    expect(getOption(accepted, c.SOL_SOCKET, c.SO_LINGER)).toBe(1);
  });

  test("a port that somebody listens on is refused", () => {
    for (const protocol of [TCP, UDP]) {
      const fd = listener({ protocol, address: loopback, v6 });
      expect(listener({ protocol, address: loopback, v6, port: portOf(fd) })).toBe(-c.EADDRINUSE);
      expect(listener({ protocol, port: portOf(fd) })).toBe(-c.EADDRINUSE);
    }
  });

  test("nobody shares the port of a UDP listener", () => {
    const fd = listener({ protocol: UDP, address: loopback, v6 });
    const thief = check(openUdp(v6), "socket");
    open.push(thief);
    check(setOption(thief, c.SOL_SOCKET, c.SO_REUSEADDR, 1), "setsockopt");
    expect(bind(thief, loopback, 0, portOf(fd), 0)).toBe(-c.EADDRINUSE);
  });

  test.each([undefined, "lo"])(
    "retired on device %s, it gives what it has and takes nobody new",
    (device) => {
      const b = bench();
      const fd = listener({ address: loopback, v6, device });
      const port = portOf(fd);
      expect([dial(loopback, port), dial(loopback, port)]).toEqual([0, 0]);
      check(retireListener(fd), "retire");
      expect(dial(loopback, port)).toBe(-c.ECONNREFUSED);
      const taken = [b.host.accept(fd), b.host.accept(fd)];
      open.push(...taken);
      expect(Math.min(...taken)).toBeGreaterThan(0);
      expect(b.host.accept(fd)).toBe(-c.EAGAIN);
    },
  );

  test("one that came from elsewhere is made ready", () => {
    const b = bench();
    const tcp = check(libc.socket(v6 ? c.AF_INET6 : c.AF_INET, c.SOCK_STREAM, 0), "socket");
    const other = listeningTcp(v6);
    check(connect(tcp, loopback, 0, portOf(other), 0), "connect");
    open.push(tcp, other);
    expect(adoptListener(tcp, TCP, v6)).toBe(-c.EINVAL);
    open.splice(open.indexOf(tcp), 1);
    const blocking = check(libc.socket(v6 ? c.AF_INET6 : c.AF_INET, c.SOCK_STREAM, 0), "socket");
    open.push(blocking);
    check(libc.listen(blocking, 1), "listen");
    expect(adoptListener(blocking, TCP, v6)).toBe(blocking);
    expect(b.host.accept(blocking)).toBe(-c.EAGAIN);
    const udp = boundUdp(v6);
    open.push(udp);
    expect(adoptListener(udp, UDP, v6)).toBe(udp);
    expect(getOption(udp, c.IPPROTO_IP, c.IP_PKTINFO)).toBe(1);
  });
});

test("one socket serves every address of both families", () => {
  const b = bench();
  const port = portOf(listener({}));
  expect([dial(LOOPBACK4, port), dial(LOOPBACK6, port)]).toEqual([0, 0]);
  const { key } = b.table;
  for (const loopback of [LOOPBACK4, LOOPBACK6]) {
    open.push(check(b.host.accept(open[0]), "accept"));
    expect([...key.subarray(SideWord.Ours, SideWord.Ours + 4)]).toEqual([...loopback]);
    expect([...key.subarray(SideWord.Endpoint, SideWord.Endpoint + 4)]).toEqual([...loopback]);
  }
});

test.each([true, false])(
  "what clients of either family sent is read ahead; SO_PEEK_OFF: %s",
  (peekOffset) => {
    const b = bench({ peekOffset });
    const fd = listener({});
    for (const loopback of [LOOPBACK4, LOOPBACK6]) {
      dial(loopback, portOf(fd));
      const accepted = check(b.host.accept(fd), "accept");
      b.host.part(0, 0, b.put(0, "hello"));
      expect(b.host.send(open.at(-1)!, 1)).toBe(5);
      open.push(accepted);
      b.host.preparePeek(accepted);
      expect([b.host.peek(accepted, 8192, 2), b.host.peek(accepted, 8192, 9)]).toEqual([2, 3]);
      expect([b.host.discard(accepted, 4), b.host.setPeekOffset(accepted, 0)]).toEqual([4, 0]);
      expect(b.host.peek(accepted, 8192, 9)).toBe(1);
      expect(b.get(8192, 1)).toBe("o");
    }
  },
);

test("a client whose connection is not ended but given up sees a reset", () => {
  const b = bench();
  const fd = listener({});
  const sees = (end: (accepted: number) => void): number => {
    expect(dial(LOOPBACK4, portOf(fd))).toBe(0);
    end(check(b.host.accept(fd), "accept"));
    return b.host.receive(open.at(-1)!, 8192, 1);
  };
  // As the kernel does when it kills an engine.
  expect(sees(close)).toBe(-c.ECONNRESET);
  expect(
    sees((accepted) => {
      b.host.shutdownWrite(accepted);
      close(accepted);
    }),
  ).toBe(0);
});

test("both families have the port of one wildcard each", () => {
  for (const protocol of [UDP, TCP]) {
    const fd = listener({ protocol, address: new Uint32Array(4) });
    expect(listener({ protocol, v6: false, port: portOf(fd) })).toBeGreaterThan(0);
  }
  const port = portOf(open.at(-1)!);
  expect([dial(LOOPBACK4, port), dial(LOOPBACK6, port)]).toEqual([0, 0]);
});

test("a listener is bound to its interface", () => {
  const fd = listener({ device: "lo" });
  expect(boundDevice(fd)).toBe("lo");
  expect(boundDevice(listener({}))).toBe(undefined);
  expect(listener({ device: "no-such-device" })).toBe(-c.ENODEV);
});

test("an address that is not there yet is for those who ask", () => {
  for (const text of ["192.0.2.1", "2001:db8::1"]) {
    const address = parseIp(text)!;
    const v6 = text.includes(":");
    for (const protocol of [TCP, UDP]) {
      expect(listener({ protocol, address, v6 })).toBe(-c.EADDRNOTAVAIL);
      expect(listener({ protocol, address, v6, freebind: true })).toBeGreaterThan(0);
    }
  }
});
