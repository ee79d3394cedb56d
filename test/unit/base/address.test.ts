import { describe, expect, test } from "@jest/globals";
import {
  formatIp,
  formatMac,
  inPrefix,
  ipFromBytes,
  ipToBytes,
  ipv4Words,
  isBroadcast4,
  isIpv4,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnicast,
  isUnspecified,
  netmask4,
  networkOf,
  parseIp,
  parseMac,
  parsePrefix,
  sameIp,
} from "../../../src/base/address.ts";

/** The address of a text that must be one. */
function ip(text: string): Uint32Array {
  const words = parseIp(text);
  if (words === undefined) throw new Error(`not an address: ${text}`);
  return words;
}

const letter = (is: boolean, name: string): string => (is ? name : " ");

describe("text", () => {
  test.each([
    ["0.0.0.0", "0.0.0.0"],
    ["192.0.2.1", "192.0.2.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8::A", "2001:db8::a"],
    ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    // A mapped address is the IPv4 address.
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
    // An embedded one elsewhere is not.
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["::192.0.2.1", "::c000:201"],
    // RFC 5952 section 4.2: a single zero group stays, the longest run is cut, the first among equals.
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6::", "1:2:3:4:5:6::"],
    ["::3:4:5:6:7:8", "::3:4:5:6:7:8"],
    // "::" for one group is legal to read, not to write.
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ])("%s is read, and written as %s", (text, canonical) => {
    expect(formatIp(ip(text))).toBe(canonical);
  });

  test.each([
    "",
    " ",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "1..2.3",
    "-1.2.3.4",
    ":",
    ":::",
    ":1",
    "1:",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "12345::",
    "g::",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "::1.2.3",
    "::01.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "fe80::1%eth0",
    "[::1]",
    "::1/64",
    "localhost",
  ])("%j is not an address", (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test("an address inside a larger array is written from its place", () => {
    expect(formatIp(Uint32Array.of(9, 0x20010db8, 0, 0, 1), 1)).toBe("2001:db8::1");
  });

  test.each([
    ["10.0.2.0/24", "10.0.2.0", 24],
    ["0.0.0.0/0", "0.0.0.0", 0],
    ["10.0.2.15/32", "10.0.2.15", 32],
    ["2001:db8::/32", "2001:db8::", 32],
    ["::/0", "::", 0],
    ["::1/128", "::1", 128],
    ["::ffff:10.0.2.0/120", "10.0.2.0", 24],
  ])("%s is a prefix", (text, address, length) => {
    const prefix = parsePrefix(text);
    expect(prefix?.length).toBe(length);
    expect(prefix && formatIp(prefix.address)).toBe(address);
  });

  test.each([
    "",
    "10.0.0.0",
    "10.0.0.0/",
    "/24",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8/8",
    "::/129",
    "::ffff:10.0.0.0/95",
    "10.0.0.0/8 ",
    "x/8",
  ])("%j is not a prefix", (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  test("a MAC address is read with either separator and written with colons", () => {
    expect(formatMac(parseMac("9A-55-9a-55-9A-55")!)).toBe("9a:55:9a:55:9a:55");
    expect(Array.from(parseMac("02:00:00:00:00:0a")!)).toEqual([2, 0, 0, 0, 0, 10]);
  });

  test.each([
    "",
    "02:00:00:00:00",
    "02:00:00:00:00:0a:",
    "02:00:00:00:00-0a",
    "2:0:0:0:0:a",
    "02:00:00:00:00:0g",
  ])("%j is not a MAC address", (text) => {
    expect(parseMac(text)).toBeUndefined();
  });
});

describe("kinds of addresses", () => {
  /** text, IPv4, unspecified, loopback, multicast, link-local, broadcast, unicast. */
  test.each([
    ["0.0.0.0", "4?      "],
    ["127.0.0.1", "4 L    u"],
    ["127.255.255.254", "4 L    u"],
    ["126.255.255.255", "4      u"],
    ["128.0.0.0", "4      u"],
    ["169.254.1.1", "4   l  u"],
    ["169.253.255.255", "4      u"],
    ["223.255.255.255", "4      u"],
    ["224.0.0.1", "4  m    "],
    ["239.255.255.255", "4  m    "],
    ["240.0.0.1", "4      u"],
    ["255.255.255.255", "4    b  "],
    ["::", " ?      "],
    ["::1", "  L    u"],
    ["::2", "       u"],
    ["1::1", "       u"],
    ["0:0:1::1", "       u"],
    ["fe80::1", "    l  u"],
    ["febf:ffff::1", "    l  u"],
    ["fec0::1", "       u"],
    ["fe7f::1", "       u"],
    ["ff02::1", "   m    "],
    ["feff::1", "       u"],
    ["2001:db8::ffff:ffff", "       u"],
    ["::ffff:ffff:ffff:ffff", "       u"],
  ])("%s is %j", (text, kinds) => {
    const words = new Uint32Array(6);
    words.set(ip(text), 1);
    expect(
      letter(isIpv4(words, 1), "4") +
        letter(isUnspecified(words, 1), "?") +
        letter(isLoopback(words, 1), "L") +
        letter(isMulticast(words, 1), "m") +
        letter(isLinkLocal(words, 1), "l") +
        letter(isBroadcast4(words, 1), "b") +
        " " +
        letter(isUnicast(words, 1), "u"),
    ).toBe(kinds);
  });

  test("equal addresses are equal, whichever word differs otherwise", () => {
    const words = Uint32Array.of(0, 1, 2, 3, 4, 1, 2, 3, 4);
    expect(sameIp(words, 1, words, 5)).toBe(true);
    for (let i = 5; i < 9; i++) {
      const other = words.slice();
      other[i] = 99;
      expect(sameIp(words, 1, other, 5)).toBe(false);
    }
  });
});

describe("prefixes", () => {
  test.each([
    ["10.0.2.15", "10.0.2.0", 24, true],
    ["10.0.3.15", "10.0.2.0", 24, false],
    ["10.0.3.15", "10.0.2.0", 23, true],
    ["10.0.3.15", "0.0.0.0", 0, true],
    ["10.0.2.15", "10.0.2.15", 32, true],
    ["10.0.2.14", "10.0.2.15", 32, false],
    ["2001:db8:0:1::1", "2001:db8:0:1::", 64, true],
    ["2001:db8:0:2::1", "2001:db8:0:1::", 64, false],
    ["2001:db8:0:1::1", "2001:db8::", 62, true],
    ["2001:db8::1", "2001:db8::1", 128, true],
    ["2001:db8::1", "2001:db8::", 127, true],
    ["2001:db8::2", "2001:db8::1", 128, false],
    ["fe80::1", "::", 0, true],
    // The families never mix, although IPv4 is mapped into IPv6.
    ["10.0.2.15", "::", 0, false],
    ["::1", "0.0.0.0", 0, false],
  ])("%s in %s/%i: %s", (address, prefix, length, expected) => {
    expect(inPrefix(ip(address), ip(prefix), length)).toBe(expected);
  });

  test("netmasks", () => {
    expect([0, 1, 8, 24, 31, 32].map(netmask4)).toEqual([
      0, 0x80000000, 0xff000000, 0xffffff00, 0xfffffffe, 0xffffffff,
    ]);
  });

  test.each([
    ["10.0.3.77", 23, "10.0.2.0"],
    ["10.0.3.77", 0, "0.0.0.0"],
    ["10.0.3.77", 32, "10.0.3.77"],
    ["2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"],
    ["2001:db8:1:2:3:4:5:6", 0, "::"],
    ["2001:db8:1:2:3:4:5:6", 40, "2001:db8::"],
  ])("the network of %s/%i is %s", (address, length, network) => {
    expect(formatIp(networkOf(ip(address), length))).toBe(network);
  });
});

describe("bytes", () => {
  test("IPv4 has 4 bytes, IPv6 has 16", () => {
    expect(Array.from(ipToBytes(ip("192.0.2.1")))).toEqual([192, 0, 2, 1]);
    expect(Array.from(ipToBytes(ip("2001:db8::1")))).toEqual([
      0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ]);
  });

  test("bytes may lie inside a larger buffer", () => {
    const bytes = Uint8Array.of(9, 9, 192, 0, 2, 1, 9);
    expect(formatIp(ipFromBytes(bytes.subarray(2, 6)))).toBe("192.0.2.1");
  });

  test("other lengths are refused", () => {
    expect(() => ipFromBytes(new Uint8Array(6))).toThrow(RangeError);
  });

  test("an IPv4 address as a number", () => {
    expect(formatIp(ipv4Words(0xc0000201))).toBe("192.0.2.1");
  });
});
