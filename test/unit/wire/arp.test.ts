import { expect, test } from "@jest/globals";
import {
  ARP_LENGTH,
  ARP_SENDER_MAC,
  ARP_TARGET_MAC,
  ArpOperation,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  isArpValid,
  writeArp,
} from "../../../src/wire/arp.ts";
import { hex, hexOf, validTruncations } from "./hex.ts";

/** A reply that Linux sent. */
const REPLY = hex(`
  0001 0800 06 04 0002    // Ethernet, IPv4, lengths of their addresses, reply
  02000000000b c0000202   // sender
  02000000000a c0000201   // target
`);

test("a reply is read", () => {
  expect(isArpValid(REPLY, 0, ARP_LENGTH)).toBe(true);
  expect(arpOperation(REPLY, 0)).toBe(ArpOperation.Reply);
  expect(hexOf(REPLY).slice(2 * ARP_SENDER_MAC, 2 * ARP_SENDER_MAC + 12)).toBe("02000000000b");
  expect(arpSenderIp(REPLY, 0)).toBe(0xc0000202);
  expect(hexOf(REPLY).slice(2 * ARP_TARGET_MAC, 2 * ARP_TARGET_MAC + 12)).toBe("02000000000a");
  expect(arpTargetIp(REPLY, 0)).toBe(0xc0000201);
});

test("a truncated packet is not valid, a padded one is", () => {
  expect(validTruncations(REPLY, isArpValid)).toEqual([]);
  expect(isArpValid(hex(hexOf(REPLY) + "00".repeat(18)), 0, 46)).toBe(true);
});

test.each([
  [0, 0x0006, "other hardware"],
  [2, 0x86dd, "another protocol"],
  [4, 0x0804, "long hardware addresses"],
  [4, 0x0610, "long protocol addresses"],
])("16 bits at %i = %i are not valid: %s", (at, value) => {
  const packet = hex(hexOf(REPLY));
  packet.setUint16(at, value);
  expect(isArpValid(packet, 0, ARP_LENGTH)).toBe(false);
});

test("a reply is written", () => {
  const view = new DataView(new ArrayBuffer(ARP_LENGTH));
  const sender = Uint8Array.of(2, 0, 0, 0, 0, 11);
  const target = Uint8Array.of(2, 0, 0, 0, 0, 10);
  writeArp(view, 0, ArpOperation.Reply, sender, 0xc0000202, target, 0xc0000201);
  expect(hexOf(view)).toBe(hexOf(REPLY));
});
