/**
 * Requests of rtnetlink(7) about one address, and their answers, read and written in place: the way to it (struct
 * rtmsg) and its station on a link (struct ndmsg). In the byte order of the machine, addresses big-endian.
 */
import { ipv4Words, isIpv4, MAC_LENGTH } from "../base/address.ts";
import { RouteType } from "../base/network.ts";
import { LITTLE_ENDIAN } from "./netlink-message.ts";
import { AF_INET, AF_INET6 } from "./rtnetlink-message.ts";

/** Both headers are as long as each other. */
const HEADER_LENGTH = 12;
const ATTRIBUTE_HEADER_LENGTH = 4;
const ATTRIBUTE_TYPE_MASK = 0x3fff;

/* struct rtmsg */
const DESTINATION_LENGTH = 1;
const ROUTE_TYPE = 7;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_VIA = 18;

/* struct ndmsg */
const INTERFACE_INDEX = 4;
const STATE = 8;
const NDA_DST = 1;
const NDA_LLADDR = 2;
/** The states in which an entry has a link-layer address: all but incomplete and failed. @see linux/neighbour.h */
const NUD_KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;

/** Writes the body of RTM_GETROUTE for the address at `words[wordsAt]`; returns its length in bytes. */
export function writeRouteLookup(view: DataView, at: number, words: Uint32Array, wordsAt: number): number {
  const end = writeLookup(view, at, words, wordsAt, RTA_DST);
  view.setUint8(at + DESTINATION_LENGTH, isIpv4(words, wordsAt) ? 32 : 128);
  return end - at;
}

/** The same of RTM_GETNEIGH, on one interface. */
export function writeNeighbourLookup(
  view: DataView,
  at: number,
  words: Uint32Array,
  wordsAt: number,
  interfaceIndex: number,
): number {
  const end = writeLookup(view, at, words, wordsAt, NDA_DST);
  view.setInt32(at + INTERFACE_INDEX, interfaceIndex, LITTLE_ENDIAN);
  return end - at;
}

/** A header that says the family only, and an attribute with the address. Returns its end. */
function writeLookup(view: DataView, at: number, words: Uint32Array, wordsAt: number, type: number): number {
  const v4 = isIpv4(words, wordsAt);
  const attribute = at + HEADER_LENGTH;
  const value = attribute + ATTRIBUTE_HEADER_LENGTH;
  const end = value + (v4 ? 4 : 16);
  for (let i = at; i < attribute; i += 4) view.setUint32(i, 0);
  view.setUint8(at, v4 ? AF_INET : AF_INET6);
  view.setUint16(attribute, end - attribute, LITTLE_ENDIAN);
  view.setUint16(attribute + 2, type, LITTLE_ENDIAN);
  for (let i = v4 ? 3 : 0, word = value; word < end; i++, word += 4) view.setUint32(word, words[wordsAt + i]);
  return end;
}

/**
 * Tells whether the route in `[at, end)` leads out through this interface to one station. Leaves the gateway in `hop`,
 * which stays as it is when there is none.
 */
export function readNexthop(
  view: DataView,
  at: number,
  end: number,
  interfaceIndex: number,
  hop: Uint32Array,
): boolean {
  if (end - at < HEADER_LENGTH || view.getUint8(at + ROUTE_TYPE) !== RouteType.Unicast) return false;
  const interfaceAt = findAttribute(view, at, end, RTA_OIF, 4);
  if (interfaceAt === -1 || view.getInt32(interfaceAt, LITTLE_ENDIAN) !== interfaceIndex) return false;
  const v4 = view.getUint8(at) === AF_INET;
  const gatewayAt = findAttribute(view, at, end, RTA_GATEWAY, v4 ? 4 : 16);
  if (gatewayAt !== -1) readAddress(view, gatewayAt, v4, hop);
  // A gateway of the other family is behind its family's number.
  const viaAt = findAttribute(view, at, end, RTA_VIA, 18);
  if (viaAt !== -1) readAddress(view, viaAt + 2, false, hop);
  return true;
}

function readAddress(view: DataView, at: number, v4: boolean, words: Uint32Array): void {
  if (v4) {
    words.set(ANY_4);
    words[3] = view.getUint32(at);
  } else for (let i = 0; i < 4; i++) words[i] = view.getUint32(at + 4 * i);
}
const ANY_4 = ipv4Words(0);

/**
 * Tells whether the neighbour in `[at, end)` has a MAC address that is known and that one station can have; copies it
 * to `mac`.
 */
export function readNeighbourMac(view: DataView, at: number, end: number, mac: Uint8Array): boolean {
  if (end - at < HEADER_LENGTH || (view.getUint16(at + STATE, LITTLE_ENDIAN) & NUD_KNOWN) === 0) return false;
  const macAt = findAttribute(view, at, end, NDA_LLADDR, MAC_LENGTH);
  if (macAt === -1) return false;
  let sum = 0;
  for (let i = 0; i < MAC_LENGTH; i++) {
    mac[i] = view.getUint8(macAt + i);
    sum += mac[i];
  }
  // Groups have the lowest bit of the first byte.
  return sum !== 0 && (mac[0] & 1) === 0;
}

/** Where the value of an attribute of this type and length starts, or -1. */
function findAttribute(view: DataView, at: number, end: number, type: number, length: number): number {
  for (let i = at + HEADER_LENGTH; i + ATTRIBUTE_HEADER_LENGTH <= end;) {
    const size = view.getUint16(i, LITTLE_ENDIAN);
    if (size < ATTRIBUTE_HEADER_LENGTH || size > end - i) return -1;
    const isIt = (view.getUint16(i + 2, LITTLE_ENDIAN) & ATTRIBUTE_TYPE_MASK) === type;
    if (isIt && size === ATTRIBUTE_HEADER_LENGTH + length) return i + ATTRIBUTE_HEADER_LENGTH;
    i += (size + 3) & ~3;
  }
  return -1;
}
