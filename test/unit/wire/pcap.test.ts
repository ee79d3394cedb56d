import { expect, test } from "@jest/globals";
import { PCAP_LENGTH, PCAP_RECORD_LENGTH, writePcap, writePcapRecord } from "../../../src/wire/pcap.ts";
import { hexOf, truncated } from "./hex.ts";

const view = new DataView(new ArrayBuffer(PCAP_LENGTH));

test("a file begins as libpcap wants it", () => {
  writePcap(view, 0);
  expect(hexOf(view)).toBe("d4c3b2a1020004000000000000000000000004000100000".padEnd(48, "0"));
});

test.each([
  [1_700_000_000_123.456, 1514, "00f1536540e20100ea050000ea050000"],
  // Rounded up to a whole second.
  [1_699_999_999_999.9998, 60, "00f15365000000003c0000003c000000"],
])("at %s ms, a record has its time to the microsecond, and its length twice", (time, length, bytes) => {
  writePcapRecord(view, 0, time, length);
  expect(hexOf(truncated(view, PCAP_RECORD_LENGTH))).toBe(bytes);
});
