/**
 * We rely on: a socket that receives from everybody tells who sent what to which address, and answers come from there,
 * also for clients of IPv4 on a socket for both families.
 */
import { afterEach, describe, expect, test } from "@jest/globals";
import { formatIp, ipv4Words, parseIp } from "../../src/base/address.ts";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close } from "../../src/ffi/libc.ts";
import { Pif } from "../../src/flow/state.ts";
import {
  endpointPort,
  INITIATING,
  oursPort,
  packKind,
  SideWord,
  type FlowTable,
} from "../../src/flow/table.ts";
import { openListener } from "../../src/kernel/listen.ts";
import { connect, openUdp } from "../../src/kernel/socket.ts";
import { program, startChild } from "./children.ts";
import { bench, FAMILIES, LOOPBACK4, LOOPBACK6, portOf, type Bench } from "./loopback.ts";

const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

const AT = 65_536;
const IN = 1 << 20;
const ELSEWHERE = ipv4Words(0x7f000005);

interface Case {
  readonly name: string;
  /** Of the listener. */
  readonly v6: boolean;
  readonly dual: boolean;
  /** What the client talks to. */
  readonly to: Uint32Array;
}
const CASES: Case[] = [
  { name: "IPv4", v6: false, dual: false, to: ELSEWHERE },
  { name: "IPv6", v6: true, dual: false, to: LOOPBACK6 },
  { name: "IPv4 on a socket for both", v6: true, dual: true, to: ELSEWHERE },
  { name: "IPv6 on a socket for both", v6: true, dual: true, to: LOOPBACK6 },
];

function listener({ v6, dual }: Pick<Case, "v6" | "dual">): number {
  const any = v6 ? new Uint32Array(4) : ipv4Words(0);
  const address = dual ? undefined : any;
  const options = { protocol: c.IPPROTO_UDP, address, v6, port: 0, device: undefined, freebind: false };
  const fd = check(openListener(options), "listen");
  open.push(fd);
  return fd;
}

/** A client that takes nothing but from where it sends to. */
function client(to: Uint32Array, port: number): number {
  const fd = check(openUdp(to === LOOPBACK6), "socket");
  open.push(fd);
  check(connect(fd, to, 0, port, 0), "connect");
  return fd;
}

function say(b: Bench, fd: number, text: string): void {
  b.host.part(0, AT, b.put(AT, text));
  expect(b.host.send(fd, 1)).toBe(text.length);
}

/** Who is in the key, as "endpoint > ours". */
const inKey = ({ key }: FlowTable): string =>
  `${formatIp(key, SideWord.Endpoint)} ${endpointPort(key, 0)} > ${formatIp(key, SideWord.Ours)} ${oursPort(key, 0)}`;

/** Makes a flow of what is in the key, and gives its first side. */
function sideOfKey({ table }: Bench): number {
  const flow = table.allocate();
  table.key[SideWord.Kind] = packKind(c.IPPROTO_UDP, Pif.Host);
  table.initiate(flow);
  table.target(flow);
  table.setType(flow, 1);
  table.activate(flow);
  return (flow << 1) | INITIATING;
}

describe.each(CASES)("$name", ({ v6, dual, to }) => {
  test("question and answer", () => {
    const b = bench();
    const fd = listener({ v6, dual });
    const one = client(to, portOf(fd));
    say(b, one, "question");
    expect(b.host.receiveFrom(fd, IN, 65_535)).toBe(8);
    expect(b.get(IN, 8)).toBe("question");
    expect(b.host.receivedSegment).toBe(0);
    const from = to === LOOPBACK6 ? "::1" : "127.0.0.1";
    expect(inKey(b.table)).toBe(`${from} ${portOf(one)} > ${formatIp(to)} ${portOf(fd)}`);
    expect(b.host.receiveFrom(fd, IN, 65_535)).toBe(-c.EAGAIN);

    const side = sideOfKey(b);
    b.host.part(0, AT, b.put(AT, "ans"));
    b.host.part(1, AT + 100, b.put(AT + 100, "wer"));
    expect(b.host.sendFrom(fd, 2, 0, side)).toBe(6);
    // A connected socket drops what comes from another address.
    expect(b.host.receive(one, IN, 65_535)).toBe(6);
    expect(b.get(IN, 6)).toBe("answer");
  });

  test("trains, both ways", () => {
    const b = bench();
    const fd = listener({ v6, dual });
    const one = client(to, portOf(fd));
    for (let i = 0; i < 3; i++) b.host.part(i, AT + 1000 * i, i === 2 ? 300 : 1000);
    expect(b.host.sendTrain(one, 3, 1000)).toBe(2300);
    expect([b.host.receiveFrom(fd, IN, 65_535), b.host.receivedSegment]).toEqual([2300, 1000]);
    const side = sideOfKey(b);
    expect(b.host.sendFrom(fd, 3, 1000, side)).toBe(2300);
    expect([b.host.receive(one, IN, 65_535), b.host.receivedSegment]).toEqual([2300, 1000]);
    expect(b.host.sendFrom(fd, 1, 0, side)).toBe(1000);
    expect([b.host.receive(one, IN, 65_535), b.host.receivedSegment]).toEqual([1000, 0]);
  });

  test("an answer that nobody takes comes back with both addresses", () => {
    const b = bench();
    const fd = listener({ v6, dual });
    const one = client(to, portOf(fd));
    say(b, one, "question");
    expect(b.host.receiveFrom(fd, IN, 65_535)).toBe(8);
    const side = sideOfKey(b);
    const who = inKey(b.table);
    close(open.pop()!);
    b.host.part(0, AT, b.put(AT, "answer"));
    expect(b.host.sendFrom(fd, 1, 0, side)).toBe(6);
    b.table.key.fill(0);
    expect(b.host.readError(fd)).toBe(1);
    expect(b.host.error.errno).toBe(c.ECONNREFUSED);
    expect(inKey(b.table)).toBe(who);
    expect(b.get(b.host.error.payloadAt, b.host.error.payloadLength)).toBe("answer");
    expect(b.host.readError(fd)).toBe(-c.EAGAIN);
  });
});

test.each(FAMILIES)("$name: the port of a descriptor used again is asked for anew", ({ v6, loopback }) => {
  const b = bench();
  for (let i = 0; i < 2; i++) {
    const fd = listener({ v6, dual: false });
    say(b, client(loopback, portOf(fd)), "hello");
    expect(b.host.receiveFrom(fd, IN, 65_535)).toBe(5);
    expect(oursPort(b.table.key, 0)).toBe(portOf(fd));
    b.host.close(open.splice(open.indexOf(fd), 1)[0]);
  }
});

test("an answer from an address that is no unicast one leaves from where the kernel likes", () => {
  const b = bench();
  const fd = listener({ v6: true, dual: true });
  const one = client(LOOPBACK4, portOf(fd));
  say(b, one, "hello");
  b.host.receiveFrom(fd, IN, 65_535);
  b.table.key.set(parseIp("239.1.2.3")!, SideWord.Ours);
  const side = sideOfKey(b);
  b.host.part(0, AT, 10);
  expect(b.host.sendFrom(fd, 1, 0, side)).toBe(10);
  expect(b.host.receive(one, IN, 65_535)).toBe(10);
});

test("addresses of interfaces, broadcasts and link-local addresses", async () => {
  const argv = ["unshare", "--user", "--map-root-user", "--net", ...program("unconnected.ts")];
  const child = await startChild(argv);
  await child.end();
  const port = 5000;
  const from = { client: "198.51.100.1", client6: "2001:db8::1", linkLocal: "fe80::1" };
  expect(JSON.parse(child.line)).toEqual({
    second: [`${from.client} > 198.51.100.2 ${port}`, "198.51.100.2"],
    broadcast: [`${from.client} > 198.51.100.1 ${port}`, "198.51.100.1"],
    everybody: [`${from.client} > 255.255.255.255 ${port}`, "198.51.100.1"],
    group: [`${from.client6} > ff02::1 ${port}`, from.client6],
    second6: [`${from.client6} > 2001:db8::2 ${port}`, "2001:db8::2"],
    linkLocal: [`${from.linkLocal} > fe80::2 ${port}`, "fe80::2"],
  });
});
