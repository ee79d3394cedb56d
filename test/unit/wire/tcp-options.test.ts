import { expect, test } from "@jest/globals";
import {
  tcpMss,
  tcpSackPermitted,
  tcpWindowScale,
  writeMss,
  writeWindowScale,
} from "../../../src/wire/tcp-options.ts";
import { hex, hexOf } from "./hex.ts";

/** Memory that ends with a header holding these options, filled up to a multiple of 4 with End. */
function header(options: string): DataView {
  const bytes = hexOf(hex(options));
  const length = 20 + Math.ceil(bytes.length / 8) * 4;
  const view = hex("00".repeat(20) + bytes.padEnd(2 * (length - 20), "0"));
  view.setUint8(12, length << 2);
  return view;
}

const all = (options: string) => {
  const view = header(options);
  return { mss: tcpMss(view, 0), scale: tcpWindowScale(view, 0), sack: tcpSackPermitted(view, 0) };
};

const NONE = { mss: -1, scale: -1, sack: false };

test("the options of a SYN that Linux sent", () => {
  expect(all("020405b4 0402 080ae166152000000000 01 03030a")).toEqual({ mss: 1460, scale: 10, sack: true });
});

test("no options", () => {
  expect(all("")).toEqual(NONE);
});

test("a window scale beyond 14 is told as sent", () => {
  expect(all("0303ff").scale).toBe(255);
});

test("an option may end with the header", () => {
  expect(all("010101 01 020405b4").mss).toBe(1460);
  expect(all("0101 0402").sack).toBe(true);
});

test("nothing is found behind End", () => {
  expect(all("00 020405b4 0402 03030a")).toEqual(NONE);
});

test("options that are not known are skipped", () => {
  expect(all("1e04ffff fe0811111111ffff 0402")).toEqual({ ...NONE, sack: true });
});

test.each([
  ["1e00", "length 0"],
  ["1e01", "length 1"],
  ["1eff", "length beyond the header"],
])("%s ends the search: %s", (option) => {
  expect(all(`${option} 020405b4 0402 03030a`)).toEqual(NONE);
  expect(all(`0402 ${option} 020405b4`)).toEqual({ ...NONE, sack: true });
});

test("an option whose length is missing ends the search", () => {
  expect(all("010101 02")).toEqual(NONE);
});

test("an option of the wrong length is not taken", () => {
  expect(all("020305 030405b4 04030000")).toEqual(NONE);
  // The search goes on behind it.
  expect(all("020305 020405b4").mss).toBe(1460);
});

test("options are written", () => {
  const view = header("ffffffff ffffffff");
  writeMss(view, 20, 65495);
  writeWindowScale(view, 24, 8);
  expect(hexOf(view).slice(40)).toBe("0204ffd701030308");
  expect(tcpMss(view, 0)).toBe(65495);
  expect(tcpWindowScale(view, 0)).toBe(8);
});
