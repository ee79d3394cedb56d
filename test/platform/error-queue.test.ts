/** We rely on: a refused datagram comes back through the error queue with its ICMP type, sender and payload. */
import { afterEach, describe, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { Pif } from "../../src/flow/state.ts";
import { TARGET } from "../../src/flow/table.ts";
import { setOption } from "../../src/kernel/socket.ts";
import { bench, boundUdp, FAMILIES, FLOW_KIND, LOOPBACK6, portOf } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

const AT = 65536;

describe.each(FAMILIES)("$name", ({ v6, loopback }) => {
  function refused(pktinfo: boolean) {
    const b = bench();
    const peer = boundUdp(v6);
    const flow = b.flowTo(loopback, portOf(peer), c.IPPROTO_UDP);
    close(peer);
    const fd = check(b.host.openUdp(v6, Pif.Host), "openUdp");
    open.push(fd);
    if (pktinfo) {
      const result = v6
        ? setOption(fd, c.IPPROTO_IPV6, c.IPV6_RECVPKTINFO, 1)
        : setOption(fd, c.IPPROTO_IP, c.IP_PKTINFO, 1);
      check(result, "setsockopt");
    }
    check(b.host.connect(fd, flow), "connect");
    check(b.host.watch(fd, (flow << 1) | TARGET), "watch");
    b.host.part(0, AT, b.put(AT, "is anybody there?"));
    expect(b.host.send(fd, 1)).toBe(17);
    return { b, fd, flow };
  }

  test.each([false, true])("a closed port is reported; packet information on: %s", (pktinfo) => {
    const { b, fd, flow } = refused(pktinfo);
    expect(b.epoll.wait(1000)).toBe(1);
    expect(b.epoll.eventsOf(0) & c.EPOLLERR).toBe(c.EPOLLERR);
    expect([b.epoll.kindOf(0), b.epoll.indexOf(0)]).toEqual([FLOW_KIND, (flow << 1) | TARGET]);

    expect(b.host.readError(fd)).toBe(1);
    const { error } = b.host;
    expect(error).toMatchObject({
      errno: c.ECONNREFUSED,
      origin: v6 ? c.SO_EE_ORIGIN_ICMP6 : c.SO_EE_ORIGIN_ICMP,
      type: v6 ? 1 : 3,
      code: v6 ? 4 : 3,
    });
    expect([...error.offender]).toEqual([...loopback]);
    expect(b.get(error.payloadAt, error.payloadLength)).toBe("is anybody there?");
    expect(b.host.readError(fd)).toBe(-c.EAGAIN);
    expect(b.host.takeError(fd)).toBe(0);
  });
});

test("a datagram larger than the path takes is refused at once, and the queue has the MTU", () => {
  const b = bench();
  const peer = boundUdp(true);
  const flow = b.flowTo(LOOPBACK6, portOf(peer), c.IPPROTO_UDP);
  const fd = check(b.host.openUdp(true, Pif.Host), "openUdp");
  open.push(fd, peer);
  check(b.host.connect(fd, flow), "connect");
  check(b.host.setDontFragment(fd, true, true), "setsockopt");
  check(setOption(fd, c.IPPROTO_IPV6, c.IPV6_MTU, 1280), "setsockopt");
  b.host.part(0, AT, 2000);
  expect(b.host.send(fd, 1)).toBe(-c.EMSGSIZE);
  expect(b.host.readError(fd)).toBe(1);
  expect(b.host.error).toMatchObject({ errno: c.EMSGSIZE, origin: c.SO_EE_ORIGIN_LOCAL, info: 1280 });
  expect([...b.host.error.offender]).toEqual([0, 0, 0, 0]);
});
