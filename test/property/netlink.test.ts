import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import {
  decodeAttributes,
  decodeNetlinkMessages,
  encodeAttributes,
  encodeNetlinkMessage,
  type Attribute,
} from "../../src/wire/netlink-message.ts";
import { readNeighbourMac, readNexthop } from "../../src/wire/rtnetlink-lookup.ts";
import { decodeAddress, decodeLink, decodeNeighbour, decodeRule } from "../../src/wire/rtnetlink-message.ts";
import { decodeRoute, encodeRoute } from "../../src/wire/rtnetlink-route.ts";

/** A tree in which no nest has two attributes of one type. */
const { tree } = fc.letrec<{ tree: Attribute[]; value: Uint8Array | Attribute[] }>((tie) => ({
  tree: fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 0x3fff }), tie("value")), {
    maxLength: 5,
    selector: ([type]) => type,
  }),
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.uint8Array({ maxLength: 40 }),
    tie("tree"),
  ),
}));

const decodeLike = (attributes: readonly Attribute[], bytes: Uint8Array): unknown => {
  const decoded = decodeAttributes(bytes);
  expect([...decoded.keys()]).toEqual(attributes.map(([type]) => type));
  return attributes.map(([type, value]) => {
    const inner = decoded.get(type) ?? new Uint8Array();
    return [type, Array.isArray(value) ? decodeLike(value, inner) : Uint8Array.from(inner)];
  });
};

test("attributes nested to any depth come back as they were", () => {
  fc.assert(
    fc.property(tree, (attributes) => {
      expect(decodeLike(attributes, encodeAttributes(attributes))).toEqual(attributes);
    }),
  );
});

test("a hundred nests in each other come back", () => {
  let attributes: Attribute[] = [[7, Uint8Array.of(42)]];
  for (let i = 0; i < 100; i++) attributes = [[i, attributes]];
  expect(decodeLike(attributes, encodeAttributes(attributes))).toEqual(attributes);
});

const message = fc.record({
  type: fc.integer({ min: 0, max: 0xffff }),
  flags: fc.integer({ min: 0, max: 0xffff }),
  sequence: fc.integer({ min: 0, max: 0xffffffff }),
  port: fc.integer({ min: 0, max: 0xffffffff }),
  body: fc.uint8Array({ maxLength: 60 }),
});

test("messages in one datagram come back as they were", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), (messages) => {
      expect(decodeNetlinkMessages(Buffer.concat(messages.map(encodeNetlinkMessage)))).toEqual(messages);
    }),
  );
});

/** Arbitrary bytes that begin like a message of a family we know, so that the decoders look further. */
const body = fc
  .tuple(fc.constantFrom(0, 2, 10, 128), fc.uint8Array({ maxLength: 120 }))
  .map(([family, rest]) => Uint8Array.of(family, ...rest));

test("no bytes make a decoder throw, loop or read outside", () => {
  fc.assert(
    fc.property(body, fc.integer({ min: 0, max: 20 }), (bytes, start) => {
      decodeNetlinkMessages(bytes);
      expect(decodeAttributes(bytes, start).size).toBeLessThanOrEqual(bytes.length / 4);
      for (const decode of [decodeLink, decodeAddress, decodeNeighbour, decodeRule, decodeRoute])
        decode(bytes);
    }),
    { numRuns: 2_000 },
  );
});

/** Headers and attributes that answers about one address have, in right and wrong sizes, and cut off anywhere. */
const lookupAnswer = fc
  .record({
    header: fc.uint8Array({ minLength: 12, maxLength: 12 }),
    attributes: fc.array(fc.tuple(fc.constantFrom(1, 2, 4, 5, 18), fc.uint8Array({ maxLength: 20 })), {
      maxLength: 4,
    }),
    cut: fc.nat(8),
  })
  .map(({ header, attributes, cut }) => {
    const bytes = Uint8Array.of(...header, ...encodeAttributes(attributes));
    return bytes.slice(0, Math.max(bytes.length - cut, 0));
  });

test("answers read in place are read within their bounds, whatever they say", () => {
  const hop = new Uint32Array(4);
  const mac = new Uint8Array(6);
  fc.assert(
    fc.property(fc.oneof(body, lookupAnswer), (bytes) => {
      // What is behind the end belongs to something else: reading it would throw.
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      readNexthop(view, 0, bytes.length, 3, hop);
      const isKnown = readNeighbourMac(view, 0, bytes.length, mac);
      expect(isKnown && (mac[0] & 1) === 1).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

/** Bodies with the attributes that routes have, in sizes that some of them have. */
const routeBody = fc
  .record({
    family: fc.constantFrom(2, 10),
    header: fc.uint8Array({ minLength: 7, maxLength: 7 }),
    attributes: fc.array(
      fc.tuple(
        fc.constantFrom(1, 2, 4, 5, 6, 8, 9, 15, 18, 20),
        fc.oneof(...[1, 4, 16].map((size) => fc.uint8Array({ minLength: size, maxLength: size }))),
      ),
      { maxLength: 4 },
    ),
  })
  .map(({ family, header, attributes }) =>
    // No prefixes, so that one without its address is not what most cases are; no flags.
    Uint8Array.of(family, 0, 0, ...header.subarray(0, 5), 0, 0, 0, 0, ...encodeAttributes(attributes)),
  );

test("whatever is taken for a route comes back the same from what is sent for it", () => {
  const routes = routeBody.map(decodeRoute).filter((route) => route !== undefined);
  fc.assert(
    fc.property(routes, (route) => {
      expect(decodeRoute(encodeRoute(route))).toEqual(route);
    }),
    { numRuns: 1_000 },
  );
});
