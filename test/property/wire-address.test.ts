/** Addresses as text, as bytes and as parts of prefixes. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { isIPv4, isIPv6 } from "node:net";
import {
  formatIp,
  formatMac,
  inPrefix,
  ipFromBytes,
  ipToBytes,
  ipv4Words,
  isIpv4,
  networkOf,
  parseIp,
  parseMac,
  parsePrefix,
  sameIp,
} from "../../src/base/address.ts";

const u32 = fc.integer({ min: 0, max: 0xffffffff });
/** Words with many zeros, so that runs of zero groups are common. */
const sparse = fc.oneof(fc.constant(0), fc.constantFrom(1, 0xffff, 0x10000, 0xffff0000), u32);
const v6 = fc.tuple(sparse, sparse, sparse, sparse).map((four) => Uint32Array.from(four));
const address = fc.oneof(u32.map(ipv4Words), v6);

test("the text of an address is read back as that address", () => {
  fc.assert(
    fc.property(address, (words) => {
      expect(parseIp(formatIp(words))).toEqual(words);
    }),
    { numRuns: 1000 },
  );
});

test("the text of an address is the one that WHATWG URLs use", () => {
  fc.assert(
    fc.property(v6, (words) => {
      fc.pre(!isIpv4(words));
      expect(`[${formatIp(words)}]`).toBe(new URL(`http://[${formatIp(words)}]`).hostname);
    }),
    { numRuns: 1000 },
  );
});

test("what is an address is what Node.js takes for one", () => {
  const part = fc.constantFrom(
    ":",
    "::",
    ".",
    "0",
    "1",
    "ffff",
    "12345",
    "255",
    "256",
    "01",
    "1.2.3.4",
    "g",
    "",
  );
  const text = fc.oneof(
    fc.array(part, { maxLength: 18 }).map((parts) => parts.join("")),
    fc
      .array(fc.constantFrom("0", "1", "db8", "", "1.2.3.4"), { maxLength: 9 })
      .map((parts) => parts.join(":")),
    fc.string(),
  );
  fc.assert(
    fc.property(text, (input) => {
      expect(parseIp(input) !== undefined).toBe(isIPv4(input) || (isIPv6(input) && !input.includes("%")));
    }),
    { numRuns: 3000 },
  );
});

test("the bytes of an address are read back as that address", () => {
  fc.assert(
    fc.property(address, (words) => {
      expect(ipToBytes(words)).toHaveLength(isIpv4(words) ? 4 : 16);
      expect(ipFromBytes(ipToBytes(words))).toEqual(words);
    }),
  );
});

test("an address is in all its networks, and not when a bit of the prefix changes", () => {
  fc.assert(
    fc.property(address, fc.nat(), fc.nat(), (words, someLength, someBit) => {
      const bits = isIpv4(words) ? 32 : 128;
      const length = someLength % (bits + 1);
      const network = networkOf(words, length);
      expect(inPrefix(words, network, length)).toBe(true);
      expect(sameIp(networkOf(network, length), 0, network, 0)).toBe(true);
      expect(parsePrefix(`${formatIp(network)}/${length}`)).toEqual({ address: network, length });
      const bit = someBit % bits;
      const changed = network.slice();
      const at = 128 - bits + bit;
      changed[at >> 5] ^= 0x80000000 >>> (at & 31);
      // A change that makes an IPv6 address one of IPv4, or the other way round, is another matter.
      fc.pre(isIpv4(changed) === isIpv4(words));
      expect(inPrefix(words, changed, length)).toBe(bit >= length);
    }),
    { numRuns: 1000 },
  );
});

test("the text of a MAC address is read back as that address", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      expect(parseMac(formatMac(bytes))).toEqual(bytes);
      expect(parseMac(formatMac(bytes).toUpperCase().replaceAll(":", "-"))).toEqual(bytes);
    }),
  );
});

test("any text is read or refused", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect([undefined, 6]).toContain(parseMac(text)?.length);
      expect(parsePrefix(text)?.length ?? 0).toBeLessThanOrEqual(128);
    }),
  );
});
