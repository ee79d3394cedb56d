import { describe, expect, test } from "@jest/globals";
import {
  ipv6FragmentId,
  ipv6FragmentNextHeader,
  ipv6FragmentOffset,
  ipv6MoreFragments,
  walked,
  walkExtensions,
} from "../../../src/wire/ipv6-extensions.ts";
import { hex, truncated } from "./hex.ts";

const walk = (view: DataView, nextHeader: number) => ({
  upper: walkExtensions(view, 0, nextHeader, view.byteLength),
  ...walked,
});

test("without extension headers the upper layer starts at once", () => {
  expect(walk(hex("0035"), 17)).toEqual({ upper: 0, protocol: 17, fragmentAt: -1 });
});

test.each([0, 43, 60, 135, 139, 140, 253, 254])("header %i counts units of 8 bytes", (header) => {
  const view = hex(`06 01 0000 00000000 0000000000000000 ffff`); // then TCP, 8 more bytes
  expect(walk(view, header)).toEqual({ upper: 16, protocol: 6, fragmentAt: -1 });
});

test("an authentication header counts units of 4 bytes", () => {
  const view = hex(`11 04 0000 00000001 00000001 000000000000000000000000 ffff`); // then UDP, 24 bytes in all
  expect(walk(view, 51)).toEqual({ upper: 24, protocol: 17, fragmentAt: -1 });
});

test("what ESP carries is not looked for", () => {
  expect(walk(hex("0000000000000000"), 50)).toEqual({ upper: 0, protocol: 50, fragmentAt: -1 });
});

test("a chain of several headers", () => {
  const view = hex(`
    2b 00 0502 0000 0100   // hop-by-hop: router alert
    33 00 0000 00000000    // routing
    3c 01 0000 00000000    // authentication, 12 bytes
    00000000
    3a 01 0104 00000000    // destination options, 16 bytes
    0104000000000000
    8000                   // ICMPv6
  `);
  expect(walk(view, 0)).toEqual({ upper: 44, protocol: 58, fragmentAt: -1 });
});

describe("fragments", () => {
  /** The two fragments of a datagram of 2,000 bytes that Linux sent. */
  const FIRST = hex("11 00 0001 397ef164 a104 0036 07d8 5cf8");
  const LAST = hex("11 00 05a8 397ef164 7878");

  test("the first one ends the walk", () => {
    expect(walk(FIRST, 44)).toEqual({ upper: 8, protocol: 17, fragmentAt: 0 });
    expect(ipv6FragmentOffset(FIRST, 0)).toBe(0);
    expect(ipv6MoreFragments(FIRST, 0)).toBe(true);
    expect(ipv6FragmentId(FIRST, 0)).toBe(0x397ef164);
    expect(ipv6FragmentNextHeader(FIRST, 0)).toBe(17);
  });

  test("the last one too", () => {
    expect(walk(LAST, 44)).toEqual({ upper: 8, protocol: 17, fragmentAt: 0 });
    expect(ipv6FragmentOffset(LAST, 0)).toBe(1448);
    expect(ipv6MoreFragments(LAST, 0)).toBe(false);
  });

  test("what follows the fragment header is not taken for extension headers", () => {
    const view = hex("3c 00 05a8 00000001 ffffffff"); // "destination options" at offset 1448
    expect(walk(view, 44)).toEqual({ upper: 8, protocol: 60, fragmentAt: 0 });
  });

  test("an atomic fragment is no fragment", () => {
    const view = hex("3c 00 0000 00000001  11 00 0104 00000000  a104");
    expect(walk(view, 44)).toEqual({ upper: 16, protocol: 17, fragmentAt: -1 });
  });

  test("the length byte of a fragment header is reserved", () => {
    expect(walk(hex("11 ff 0001 00000001 a104"), 44)).toEqual({ upper: 8, protocol: 17, fragmentAt: 0 });
  });

  test("a walk forgets the fragment of the walk before", () => {
    walk(FIRST, 44);
    expect(walk(hex(""), 6).fragmentAt).toBe(-1);
  });
});

describe("refused", () => {
  test("a chain cut at any length", () => {
    const view = hex("2b 00 0502 0000 0100  3c 00 0000 00000000  3a 01 0104 00000000 0104000000000000");
    for (let length = 0; length < view.byteLength; length++) {
      expect(walkExtensions(truncated(view, length), 0, 0, length)).toBe(-1);
    }
    // Nothing left for the upper layer is the upper layer's business.
    expect(walk(view, 0).upper).toBe(view.byteLength);
  });

  test("no next header", () => {
    expect(walk(hex(""), 59).upper).toBe(-1);
    expect(walk(hex("3b 00 0000 00000000"), 60).upper).toBe(-1);
  });

  test("hop-by-hop options that do not come first", () => {
    expect(walk(hex("00 00 0000 00000000  11 00 0000 00000000  0000"), 60).upper).toBe(-1);
  });

  test("a chain of more than eight headers", () => {
    const options = "3c 00 0104 00000000";
    expect(walk(hex(options.repeat(7) + "11 00 0104 00000000"), 60).upper).toBe(64);
    expect(walk(hex(options.repeat(8) + "11 00 0104 00000000"), 60).upper).toBe(-1);
  });
});
