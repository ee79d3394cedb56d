import { expect, test } from "@jest/globals";
import { parseIp, parseMac } from "../../../src/base/address.ts";
import {
  INFINITE_SECONDS,
  isRouterAdvertisementValid,
  MAXIMUM_ROUTER_SECONDS,
  readRouterAdvertisement,
  type RouterAdvertisement,
  writeRouterAdvertisement,
} from "../../../src/wire/router-advertisement.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

const MESSAGE: RouterAdvertisement = {
  hopLimit: 255,
  managed: true,
  other: false,
  lifetimeSeconds: MAXIMUM_ROUTER_SECONDS,
  reachableMs: 0,
  retransmissionMs: 0,
  sourceMac: parseMac("9a:55:9a:55:9a:55"),
  mtu: 65520,
  prefixes: [
    {
      address: parseIp("2001:db8:0:1::")!,
      length: 64,
      onLink: true,
      autonomous: true,
      validSeconds: INFINITE_SECONDS,
      preferredSeconds: 3600,
    },
  ],
  routes: [
    { address: parseIp("::")!, length: 0, seconds: 0 },
    { address: parseIp("2001:db8:5::")!, length: 48, seconds: INFINITE_SECONDS },
    { address: parseIp("2001:db8::53")!, length: 128, seconds: 1800 },
  ],
  resolvers: [
    { addresses: [parseIp("2001:db8::53")!, parseIp("2001:db8::54")!], seconds: INFINITE_SECONDS },
    { addresses: [parseIp("2001:db8::55")!], seconds: 0 },
  ],
  searchLists: [
    { domains: ["example.com", "a.test"], seconds: INFINITE_SECONDS },
    { domains: ["b.test"], seconds: 0 },
  ],
};

const BYTES = hex(`
  86 00 0000                        // router advertisement, checksum not yet there
  ff 80 ffff                        // hop limit, managed, lifetime
  00000000 00000000                 // reachable time, retransmission timer
  01 01 9a559a559a55                // source link-layer address
  05 01 0000 0000fff0               // MTU
  03 04 40 c0                       // prefix of 64 bits, on-link and autonomous
  ffffffff 00000e10 00000000        // valid, preferred, reserved
  20010db8000000010000000000000000
  19 05 0000 ffffffff               // RDNSS
  20010db8000000000000000000000053
  20010db8000000000000000000000054
  19 03 0000 00000000               // RDNSS that holds no more
  20010db8000000000000000000000055
  18 01 0000 00000000               // routes: everywhere; 48 bits; 128 bits
  18 02 3000 ffffffff 20010db800050000
  18 03 8000 00000708 20010db8000000000000000000000053
  1f 04 0000 ffffffff               // DNSSL
  07 6578616d706c65 03 636f6d 00    // example.com
  01 61 04 74657374 00              // a.test
  000000                            // padding
  1f 02 0000 00000000 01 62 04 74657374 00
`);

const NOTHING: RouterAdvertisement = {
  ...MESSAGE,
  managed: false,
  sourceMac: undefined,
  mtu: undefined,
  prefixes: [],
  routes: [],
  resolvers: [],
  searchLists: [],
};

/** The message as written into `room` bytes that held ones, as hexadecimal. */
function written(message: RouterAdvertisement, room: number): string {
  const view = new DataView(new Uint8Array(room).fill(0xff).buffer);
  const length = writeRouterAdvertisement(view, 0, room, message);
  expect(isRouterAdvertisementValid(view, 0, length)).toBe(true);
  return hexOf(view).slice(0, 2 * length);
}

test("a message is written", () => {
  expect(written(MESSAGE, 1000)).toBe(hexOf(BYTES));
});

test("a message is read", () => {
  expect(isRouterAdvertisementValid(BYTES, 0, BYTES.byteLength)).toBe(true);
  expect(readRouterAdvertisement(BYTES, 0, BYTES.byteLength)).toEqual(MESSAGE);
});

test("a message without options is written and read", () => {
  const bytes = hex(written(NOTHING, 1000));
  expect(bytes.byteLength).toBe(16);
  expect(readRouterAdvertisement(bytes, 0, 16)).toEqual(NOTHING);
});

test("search domains do not need resolvers", () => {
  const searchLists = [{ domains: ["test"], seconds: 9 }];
  const bytes = hex(written({ ...NOTHING, searchLists }, 1000));
  expect(readRouterAdvertisement(bytes, 0, bytes.byteLength)).toEqual({ ...NOTHING, searchLists });
});

test("a truncated message is valid only where an option would begin", () => {
  // Behind the fixed part, the MAC address, the MTU, the prefix, resolvers, routes, search domains.
  expect(validTruncations(BYTES, isRouterAdvertisementValid)).toEqual([
    16, 24, 32, 64, 104, 128, 136, 152, 176, 208,
  ]);
});

test("whatever the room, what is written is valid and stays inside", () => {
  for (let room = 16; room <= BYTES.byteLength; room++) written(MESSAGE, room);
  // One of the resolvers fits.
  expect(written(MESSAGE, 64 + 24).endsWith("20010db8000000000000000000000053")).toBe(true);
});

test("names that the DNS cannot carry, and resolvers with IPv4 addresses, are left out", () => {
  const message = {
    ...NOTHING,
    resolvers: [{ addresses: [parseIp("192.0.2.1")!], seconds: 9 }],
    searchLists: [{ domains: ["a..b", "", "x".repeat(64), "münchen.test"], seconds: 9 }],
  };
  expect(written(message, 1000)).toBe(written(NOTHING, 1000));
});

test("lists longer than an option can hold are cut", () => {
  const many = {
    ...NOTHING,
    resolvers: [{ addresses: Array.from({ length: 300 }, () => parseIp("2001:db8::53")!), seconds: 9 }],
    searchLists: [{ domains: Array.from({ length: 1000 }, (_, i) => `d${i}.test`), seconds: 9 }],
  };
  const bytes = hex(written(many, 65_000));
  const message = readRouterAdvertisement(bytes, 0, bytes.byteLength);
  expect(message.resolvers[0].addresses).toHaveLength(127);
  expect(message.searchLists[0].domains.length).toBeGreaterThan(150);
  expect(bytes.byteLength).toBeLessThanOrEqual(16 + 2 * 2040);
});

test("options too short for what they should hold are not read", () => {
  const bytes = hex(`
    86 00 0000 40 00 0708 00000000 00000000
    03 01 40c0 ffffffff  // a prefix without an address
    19 01 0000 ffffffff  // RDNSS without an address
    1f 01 0000 ffffffff  // DNSSL without a name
  `);
  expect(isRouterAdvertisementValid(bytes, 0, 40)).toBe(true);
  const message = readRouterAdvertisement(bytes, 0, 40);
  expect([message.prefixes, message.resolvers, message.searchLists]).toEqual([[], [], []]);
});
