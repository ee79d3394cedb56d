import { beforeEach, expect, test } from "@jest/globals";
import { FakeStack, READABLE } from "../../support/fake-stack.ts";
import { pattern } from "../../support/frames.ts";

const PEER_6 = "2001:db8:1::1";

let fake: FakeStack;
beforeEach(() => {
  fake = new FakeStack();
});

test("a datagram in answer comes from the address the container asked", () => {
  fake.send({ to: PEER_6, port: 7 });
  fake.net.host.socket.inbox.push({ bytes: pattern(5) }, { bytes: new Uint8Array(0) });
  fake.event(fake.net.host.socket, READABLE);
  expect(fake.net.takeFrames()).toEqual([
    "[2001:db8:1::1]:7 > [2001:db8::10]:5000: UDP, length 5",
    "[2001:db8:1::1]:7 > [2001:db8::10]:5000: UDP, length 0",
  ]);
});

test("strangers' datagrams that came before the socket was connected are thrown away", () => {
  fake.net.host.script("receive", 1, 0, -11);
  fake.send({});
  fake.net.host.socket.inbox.push({ bytes: pattern(5) });
  fake.event(fake.net.host.socket, READABLE);
  expect(fake.net.takeFrames().length).toBe(1);
});

test("a train from the host is one frame where the kernel cuts it, else many", () => {
  fake.send({});
  fake.net.host.socket.inbox.push({ bytes: pattern(2500), segment: 1000 });
  fake.event(fake.net.host.socket, READABLE);
  expect(fake.net.takeFrames()).toEqual([expect.stringContaining("UDP, length 2500")]);
  for (const options of [{ udpOffload: false }, { offload: false }]) {
    fake = new FakeStack(options);
    fake.send({});
    fake.net.host.socket.inbox.push({ bytes: pattern(2500), segment: 1000 });
    fake.event(fake.net.host.socket, READABLE);
    const payloads = fake.net.host.frames.map((frame) => frame.slice(10 + 14 + 20 + 8));
    expect(payloads.map(({ length }) => length)).toEqual([1000, 1000, 500]);
    expect(Buffer.concat(payloads).equals(pattern(2500))).toBe(true);
  }
});

test("no flow receives more than its turn while others wait", () => {
  fake.send({ sourcePort: 1 }, { sourcePort: 2 });
  const [greedy, other] = fake.net.host.sockets;
  greedy.inbox.push(...Array.from({ length: 100 }, () => ({ bytes: pattern(4) })));
  other.inbox.push({ bytes: pattern(4) });
  fake.stack.socketEvent(greedy.side, READABLE);
  fake.stack.socketEvent(other.side, READABLE);
  fake.stack.service();
  expect(fake.stack.isBusy).toBe(true);
  expect(other.inbox.length).toBe(0);
  expect(greedy.inbox.length).toBe(36);
  fake.stack.service();
  expect(fake.stack.isBusy).toBe(false);
  expect(fake.net.takeFrames().length).toBe(101);
});

test("a row that was given to another flow meanwhile is not mistaken", () => {
  fake.send({});
  const [first] = fake.net.host.sockets;
  fake.stack.socketEvent(first.side, READABLE);
  fake.wait(32_000);
  expect(first.closed).toBe("closed");
  fake.send({ sourcePort: 6000 });
  fake.stack.service();
  expect(fake.stack.isBusy).toBe(false);
  const second = fake.net.host.sockets[1];
  second.inbox.push({ bytes: pattern(4) });
  fake.event(second, READABLE);
  expect(fake.net.takeFrames().length).toBe(1);
});

test("datagrams of one size that come one by one go on as a train", () => {
  fake.send({});
  const sizes = [100, 100, 100, 40, 100, 100, 200, 10, 10, 0, 1460, 1460];
  fake.net.host.socket.inbox.push(...sizes.map((size) => ({ bytes: pattern(size) })));
  fake.event(fake.net.host.socket, READABLE);
  const lengths = fake.net.takeFrames().map((text) => Number(text.split(" ").at(-1)));
  // Very short ones, and those that do not fit the link, stay alone.
  expect(lengths).toEqual([340, 200, 210, 10, 0, 1460, 1460]);
});
