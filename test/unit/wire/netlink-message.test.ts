import { expect, test } from "@jest/globals";
import {
  attributeNumber,
  attributeText,
  decodeAttributes,
  decodeNetlinkMessages,
  encodeAttributes,
  encodeNetlinkMessage,
} from "../../../src/wire/netlink-message.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const joined = (words: string): string => words.replaceAll(" ", "");
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

test("a message has a header of 16 bytes, its length without padding", () => {
  const encoded = encodeNetlinkMessage({
    type: 18,
    flags: 0x301,
    sequence: 7,
    port: 0,
    body: Uint8Array.of(1, 2),
  });
  expect(hex(encoded)).toBe(joined("12000000120001030700000000000000 01020000"));
});

test("one datagram may hold several messages, padded to 4 bytes", () => {
  const first = { type: 20, flags: 2, sequence: 1, port: 5, body: Uint8Array.of(9) };
  const second = { type: 3, flags: 2, sequence: 1, port: 5, body: new Uint8Array(4) };
  const datagram = Buffer.concat([encodeNetlinkMessage(first), encodeNetlinkMessage(second)]);
  expect(decodeNetlinkMessages(datagram)).toEqual([first, second]);
});

test.each([
  ["nothing", ""],
  ["half a header", "1400000012000103"],
  ["a length of zero", "00000000120001030700000000000000"],
  ["a length below the header's", "0f000000120001030700000000000000"],
  ["a length beyond the end", "11000000120001030700000000000000"],
  ["the greatest length", "ffffffff120001030700000000000000"],
])("decoding ends at %s", (_, text) => {
  expect(decodeNetlinkMessages(bytes(text))).toEqual([]);
});

test("attributes are numbers, text with a final zero, bytes, or nests with a flag", () => {
  const encoded = encodeAttributes([
    [1, 0x01020304],
    [3, "lo"],
    [8, Uint8Array.of(5)],
    [26, [[10, [[8, Uint8Array.of(1)]]]]],
  ]);
  expect(hex(encoded)).toBe(
    joined("0800010004030201 070003006c6f0000 0500080005000000 10001a80 0c000a80 0500080001000000"),
  );
  const decoded = decodeAttributes(encoded);
  expect(attributeNumber(decoded, 1)).toBe(0x01020304);
  expect(attributeText(decoded, 3)).toBe("lo");
  expect(attributeNumber(decoded, 8)).toBe(5);
  const inner = decodeAttributes(decoded.get(26) ?? new Uint8Array());
  expect(attributeNumber(decodeAttributes(inner.get(10) ?? new Uint8Array()), 8)).toBe(1);
});

test("a number of an odd size and an absent attribute are undefined", () => {
  const decoded = decodeAttributes(encodeAttributes([[1, Uint8Array.of(1, 2, 3)]]));
  expect(attributeNumber(decoded, 1)).toBeUndefined();
  expect(attributeNumber(decoded, 2)).toBeUndefined();
  expect(attributeText(decoded, 2)).toBeUndefined();
});

test.each([
  ["a length below the header's", "03000100"],
  ["a length beyond the end", "0900010000000000"],
  ["half a header", "0800"],
])("attributes end at %s", (_, text) => {
  expect(decodeAttributes(bytes(text)).size).toBe(0);
});

test("a value that does not fit its 16-bit length is refused", () => {
  expect(() => encodeAttributes([[1, new Uint8Array(65_532)]])).toThrow(RangeError);
});
