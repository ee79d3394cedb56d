import { expect, test } from "@jest/globals";
import { decodeDnsNames, encodeDnsName } from "../../../src/wire/dns-name.ts";
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
