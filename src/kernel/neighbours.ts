/**
 * Which station of a link stands for an address of the outside: what this kernel would send to and has learned of it.
 * For the path of packets: nothing here allocates, blocks or throws.
 */
import { copyIp } from "../base/address.ts";
import { NETLINK_HEADER_LENGTH } from "../wire/netlink-message.ts";
import {
  readNeighbourMac,
  readNexthop,
  writeNeighbourLookup,
  writeRouteLookup,
} from "../wire/rtnetlink-lookup.ts";
import { RtnetlinkType } from "../wire/rtnetlink-message.ts";
import { asked, type Netlink } from "./netlink.ts";

const BODY = NETLINK_HEADER_LENGTH;

/**
 * Tells whether packets to the address at `words[at]` leave through this interface to one station, whose address it
 * leaves in `hop`: the next router's, or that address itself.
 */
export function findNexthop(
  netlink: Netlink,
  words: Uint32Array,
  at: number,
  interfaceIndex: number,
  hop: Uint32Array,
): boolean {
  copyIp(hop, 0, words, at);
  const end = netlink.ask(RtnetlinkType.GetRoute, writeRouteLookup(asked, BODY, words, at));
  return end > 0 && readNexthop(asked, BODY, end, interfaceIndex, hop);
}

/**
 * Tells whether the MAC address behind an address on the link of this interface is known, and copies it to `mac`. Before
 * Linux 5.0 none is.
 */
export function findMac(
  netlink: Netlink,
  words: Uint32Array,
  at: number,
  interfaceIndex: number,
  mac: Uint8Array,
): boolean {
  const length = writeNeighbourLookup(asked, BODY, words, at, interfaceIndex);
  const end = netlink.ask(RtnetlinkType.GetNeighbour, length);
  return end > 0 && readNeighbourMac(asked, BODY, end, mac);
}
