/** The kernel's part is played over a pair of sockets: all its answers are there before the question. */
import { afterEach, expect, test } from "@jest/globals";
import { AF_UNIX, EAGAIN, EBUSY, SOCK_CLOEXEC, SOCK_DGRAM } from "../../../src/ffi/constants.ts";
import { check } from "../../../src/ffi/errno.ts";
import { close } from "../../../src/ffi/libc.ts";
import { send, socketpair } from "../../../src/ffi/libc-socket.ts";
import { allocate, scratch } from "../../../src/ffi/memory.ts";
import { Netlink } from "../../../src/kernel/netlink.ts";
import { encodeNetlinkMessage, NetlinkFlag, NetlinkType } from "../../../src/wire/netlink-message.ts";

const memory = allocate(131_072);
let kernel = -1;
let netlink = new Netlink(-1);

function open(): void {
  check(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, scratch.address), "socketpair");
  kernel = scratch.view.getInt32(4, true);
  netlink = new Netlink(scratch.view.getInt32(0, true));
}

afterEach(() => {
  netlink.close();
  close(kernel);
});

const DATA = 24;
const message = (type: number, sequence: number, body: number[], flags = 0): Uint8Array =>
  encodeNetlinkMessage({ type, flags, sequence, port: 0, body: Uint8Array.from(body) });
const done = (sequence: number, flags = 0): Uint8Array =>
  message(NetlinkType.Done, sequence, [0, 0, 0, 0], flags);
const errno = (number: number): number[] => [...new Uint8Array(Int32Array.of(-number).buffer)];
/** Queues one datagram. */
function answer(...messages: Uint8Array[]): void {
  const datagram = Buffer.concat(messages);
  memory.bytes.set(datagram);
  check(send(kernel, memory.address, datagram.length, 0), "send");
}
const dump = (): number[][] => netlink.dump(26, new Uint8Array(), (body) => [...body]);
const bodies = (messages: { body: Uint8Array }[]): number[][] => messages.map(({ body }) => [...body]);

test("a dump ends with its terminator, in the same datagram or in one of its own", () => {
  open();
  answer(message(DATA, 1, [1]), message(DATA, 1, [2]), done(1));
  answer(message(DATA, 2, [3]));
  answer(done(2));
  expect(dump()).toEqual([[1], [2]]);
  expect(dump()).toEqual([[3]]);
});

test("a dump that was interrupted is asked for again", () => {
  open();
  answer(message(DATA, 1, [1], NetlinkFlag.DumpInterrupted), done(1));
  answer(message(DATA, 2, [1]), message(DATA, 2, [2]), done(2));
  expect(dump()).toEqual([[1], [2]]);
});

test("an interruption that only the terminator tells of counts", () => {
  open();
  answer(message(DATA, 1, [1]), done(1, NetlinkFlag.DumpInterrupted));
  answer(message(DATA, 2, [2]), done(2));
  expect(dump()).toEqual([[2]]);
});

test("a table that never rests is taken as it is", () => {
  open();
  for (let i = 1; i <= 10; i++) answer(message(DATA, i, [i], NetlinkFlag.DumpInterrupted), done(i));
  expect(dump()).toEqual([[10]]);
});

test("a dump may fail at its start and at its end", () => {
  open();
  answer(message(NetlinkType.Error, 1, errno(EBUSY)));
  expect(dump).toThrow(expect.objectContaining({ errno: EBUSY }));
  answer(message(DATA, 2, [1]), message(NetlinkType.Done, 2, errno(EBUSY)));
  expect(dump).toThrow("EBUSY");
});

test("answers to another request are passed over", () => {
  open();
  answer(message(DATA, 99, [1]), message(NetlinkType.Error, 0, errno(EBUSY)));
  answer(message(DATA, 1, [2]), message(NetlinkType.Error, 1, errno(0)));
  expect(bodies(netlink.request(24, 0, new Uint8Array()))).toEqual([[2]]);
});

test("a kernel that does not answer is an error and no wait", () => {
  open();
  expect(() => netlink.request(24, 0, new Uint8Array())).toThrow(expect.objectContaining({ errno: EAGAIN }));
});

test("drain hands out everything and tells of what was too long or lost", () => {
  open();
  const heard: number[] = [];
  const drain = (): string => netlink.drain(({ type }) => heard.push(type));
  expect(drain()).toBe("complete");
  answer(message(20, 0, [1]), message(21, 0, [1]));
  answer(message(22, 0, [1]));
  expect(drain()).toBe("complete");
  answer(message(NetlinkType.Overrun, 0, []), message(23, 0, []));
  expect(drain()).toBe("resync");
  answer(new Uint8Array(65_540));
  answer(message(24, 0, [1]));
  expect(drain()).toBe("resync");
  expect(heard).toEqual([20, 21, 22, 23, 24]);
});
