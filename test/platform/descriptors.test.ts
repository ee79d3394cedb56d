/** We rely on: one call writes bytes from several places, and a counter wakes whoever waits. */
import { afterEach, expect, test } from "@jest/globals";
import * as c from "../../src/ffi/constants.ts";
import { check } from "../../src/ffi/errno.ts";
import { close, eventfd, pipe2, read, write, writev } from "../../src/ffi/libc.ts";
import { allocate, getWord, scratch, setWord } from "../../src/ffi/memory.ts";
import { iovec } from "../../src/ffi/structs.ts";
import { Epoll } from "../../src/kernel/epoll.ts";

const { address, bytes, view } = allocate(4096);
const open: number[] = [];
afterEach(() => open.splice(0).forEach(close));

test("writev joins what lies apart, in order, and says EBADF as every call does", () => {
  check(pipe2(scratch.address, c.O_NONBLOCK | c.O_CLOEXEC), "pipe2");
  const [reader, writer] = [scratch.view.getInt32(0, true), scratch.view.getInt32(4, true)];
  open.push(reader, writer);
  bytes.set(Buffer.from("world"), 1000);
  bytes.set(Buffer.from("hello "), 3000);
  for (const [index, [at, length]] of [
    [3000, 6],
    [0, 0],
    [1000, 5],
  ].entries()) {
    setWord(view, index * iovec.size + iovec.base, address + at);
    setWord(view, index * iovec.size + iovec.length, length);
  }
  expect(writev(writer, address, 3)).toBe(11);
  expect(read(reader, address + 2000, 100)).toBe(11);
  expect(Buffer.from(bytes.subarray(2000, 2011)).toString()).toBe("hello world");
  expect(writev(-1, address, 3)).toBe(-c.EBADF);
});

test("an eventfd adds up what is written, wakes epoll, and is empty once read", () => {
  const epoll = new Epoll(1);
  const counter = check(eventfd(0, c.EFD_CLOEXEC | c.EFD_NONBLOCK), "eventfd");
  open.push(counter);
  check(epoll.add(counter, c.EPOLLIN, 7, 0), "epoll_ctl");
  expect([epoll.wait(0), read(counter, address, 8)]).toEqual([0, -c.EAGAIN]);
  for (const value of [5, 37]) {
    setWord(view, 0, value);
    check(write(counter, address, 8), "write");
  }
  expect([epoll.wait(0), epoll.kindOf(0), read(counter, address, 8), getWord(view, 0)]).toEqual([
    1, 7, 8, 42,
  ]);
  expect(epoll.wait(0)).toBe(0);
  epoll.close();
});
