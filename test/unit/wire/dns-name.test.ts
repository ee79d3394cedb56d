import { expect, test } from "@jest/globals";
import { compressDnsNames, decodeDnsNames, encodeDnsName } from "../../../src/wire/dns-name.ts";
import { hex } from "./hex.ts";

const encoded = (name: string): string | undefined => {
  const bytes = encodeDnsName(name);
  return bytes && Buffer.from(bytes).toString("hex");
};
const decoded = (text: string): string[] => {
  const view = hex(text);
  return decodeDnsNames(view, 0, view.byteLength);
};

test("a name is labels behind their lengths, and an empty label", () => {
  expect(encoded("example.com")).toBe("076578616d706c6503636f6d00");
  expect(encoded("example.com.")).toBe("076578616d706c6503636f6d00");
  expect(encoded("_Tcp.x")).toBe("045f546370017800");
});

test.each(["", ".", "..", ".com", "a..b", "a..", "a b", "münchen.test", "x".repeat(64), "a\u0000b"])(
  "%j is not a name",
  (name) => {
    expect(encodeDnsName(name)).toBeUndefined();
  },
);

test("a name has at most 255 bytes", () => {
  const longest = `${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(61)}`;
  expect(encodeDnsName(longest)).toHaveLength(255);
  expect(encodeDnsName(`${longest}x`)).toBeUndefined();
});

test("several names and padding are read", () => {
  expect(decoded("0161 04 74657374 00  0162 00  000000")).toEqual(["a.test", "b"]);
  expect(decoded("000000")).toEqual([]);
});

test("the first malformed name ends the list", () => {
  expect(decoded("0161 00 c000")).toEqual(["a"]); // a compression pointer
  expect(decoded("0161 00 056262")).toEqual(["a"]); // a label beyond the end
  expect(decoded("0161 00 0162")).toEqual(["a"]); // no empty label
});

test("bytes that are no plain text are escaped", () => {
  expect(decoded("05 612e5c20ff 00")).toEqual(["a\\046\\092\\032\\255"]);
});

const compressed = (...names: string[]): string => Buffer.concat(compressDnsNames(names)).toString("hex");

test("an ending that has been there before is a pointer to it", () => {
  // The example of RFC 3397 section 2.
  expect(compressed("eng.apple.com.", "marketing.apple.com.")).toBe(
    "03656e67056170706c6503636f6d00096d61726b6574696e67c004",
  );
  expect(compressed("corp.test", "corp.test", "test")).toBe("04636f7270047465737400c000c005");
  expect(compressed("a.test", "a..test", "b.other")).toBe("01610474657374000162056f7468657200");
});

test("a pointer reaches no further than it can", () => {
  const long = Array.from({ length: 300 }, (_, i) => `${`${i}`.padStart(60, "x")}.test`);
  const names = compressDnsNames([...long, "far.away", "at.far.away"]);
  expect(Buffer.concat(names.slice(0, -2)).length).toBeGreaterThan(0x4000);
  expect(names.at(-1)).toEqual(encodeDnsName("at.far.away"));
});
