import { expect, test } from "@jest/globals";
import { EtherType, etherType, isEthernetValid, writeEthernet } from "../../../src/wire/ethernet.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

const HEADER = hex(`
  ffff ffff ffff  // destination
  0200 0000 000a  // source
  0806            // ARP
`);

test("a header is read", () => {
  expect(isEthernetValid(HEADER, 0, 14)).toBe(true);
  expect(etherType(HEADER, 0)).toBe(EtherType.Arp);
});

test("a truncated header is not valid", () => {
  expect(validTruncations(HEADER, isEthernetValid)).toEqual([]);
});

test("a header is written", () => {
  const view = new DataView(new ArrayBuffer(14));
  writeEthernet(view, 0, new Uint8Array(6).fill(255), Uint8Array.of(2, 0, 0, 0, 0, 10), EtherType.Arp);
  expect(hexOf(view)).toBe(hexOf(HEADER));
});
