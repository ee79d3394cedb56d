import { expect, test } from "@jest/globals";
import { parseIp } from "../../../src/base/address.ts";
import { readSockaddr, writeSockaddr } from "../../../src/kernel/socket.ts";

const view = new DataView(new ArrayBuffer(64));
const hex = (length: number): string => Buffer.from(view.buffer, 4, length).toString("hex");

function write(text: string, port: number, scope = 0): number {
  new Uint8Array(view.buffer).fill(0);
  const words = new Uint32Array(6);
  words.set(parseIp(text)!, 2);
  return writeSockaddr(view, 4, words, 2, port, scope);
}

test("an IPv4 address is a sockaddr_in: family, port and address in network order", () => {
  expect(write("192.0.2.1", 443)).toBe(16);
  expect(hex(16)).toBe(["0200", "01bb", "c0000201", "0000000000000000"].join(""));
});

test("an IPv6 address is a sockaddr_in6 without flow label and scope", () => {
  expect(write("2001:db8::1", 53, 9)).toBe(28);
  expect(hex(28)).toBe(["0a00", "0035", "00000000", "20010db8000000000000000000000001", "00000000"].join(""));
});

test.each([
  ["fe80::1", 9],
  ["febf::1", 9],
  ["ff02::fb", 9],
  ["ff12::1", 9],
  ["ff05::1", 0],
  ["fd00::1", 0],
  ["::1", 0],
])("%s goes with scope %d when the interface is 9", (text, scope) => {
  write(text, 1, 9);
  expect(view.getUint32(4 + 24, true)).toBe(scope);
});

test.each(["192.0.2.1", "0.0.0.0", "2001:db8::1", "::", "fe80::1"])(
  "%s is read as it was written",
  (text) => {
    write(text, 65535);
    const words = new Uint32Array(6);
    expect(readSockaddr(view, 4, words, 1)).toBe(65535);
    expect(words.slice(1, 5)).toEqual(parseIp(text));
  },
);

test("a sockaddr of no family is no address", () => {
  new Uint8Array(view.buffer).fill(0);
  const words = Uint32Array.of(1, 2, 3, 4);
  expect(readSockaddr(view, 4, words, 0)).toBe(0);
  expect([...words]).toEqual([0, 0, 0, 0]);
});
