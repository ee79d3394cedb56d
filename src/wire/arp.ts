/**
 * ARP for IPv4 over Ethernet (RFC 826). Big-endian.
 *
 *   | hardware type 2 | protocol type 2 | hardware length 1 | protocol length 1 | operation 2 |
 *   | sender MAC 6 | sender IPv4 4 | target MAC 6 | target IPv4 4 |
 */
import { EtherType } from "./ethernet.ts";

const HARDWARE_TYPE = 0;
const PROTOCOL_TYPE = 2;
const LENGTHS = 4;
const OPERATION = 6;
const SENDER_IP = 14;
const TARGET_IP = 24;

const ETHERNET = 1;
/** 6-byte MAC addresses, 4-byte IPv4 addresses. */
const ETHERNET_IPV4_LENGTHS = 0x0604;

/** Bytes in a packet. */
export const ARP_LENGTH = 28;
/** Where the MAC addresses are in a packet. */
export const ARP_SENDER_MAC = 8;
export const ARP_TARGET_MAC = 18;

export const ArpOperation = { Request: 1, Reply: 2 } as const;

/** Tells whether `[at, end)` holds a packet for IPv4 over Ethernet; bytes behind it are padding. */
export const isArpValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= ARP_LENGTH &&
  view.getUint16(at + HARDWARE_TYPE) === ETHERNET &&
  view.getUint16(at + PROTOCOL_TYPE) === EtherType.Ipv4 &&
  view.getUint16(at + LENGTHS) === ETHERNET_IPV4_LENGTHS;

/** A value of ArpOperation, or something else. */
export const arpOperation = (view: DataView, at: number): number => view.getUint16(at + OPERATION);
export const arpSenderIp = (view: DataView, at: number): number => view.getUint32(at + SENDER_IP);
export const arpTargetIp = (view: DataView, at: number): number => view.getUint32(at + TARGET_IP);

/** Writes a packet; MAC addresses are 6 bytes, IPv4 addresses numbers. */
export function writeArp(
  view: DataView,
  at: number,
  operation: number,
  senderMac: Uint8Array,
  senderIp: number,
  targetMac: Uint8Array,
  targetIp: number,
): void {
  view.setUint16(at + HARDWARE_TYPE, ETHERNET);
  view.setUint16(at + PROTOCOL_TYPE, EtherType.Ipv4);
  view.setUint16(at + LENGTHS, ETHERNET_IPV4_LENGTHS);
  view.setUint16(at + OPERATION, operation);
  for (let i = 0; i < 6; i++) {
    view.setUint8(at + ARP_SENDER_MAC + i, senderMac[i]);
    view.setUint8(at + ARP_TARGET_MAC + i, targetMac[i]);
  }
  view.setUint32(at + SENDER_IP, senderIp);
  view.setUint32(at + TARGET_IP, targetIp);
}
