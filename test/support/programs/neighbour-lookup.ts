/**
 * Prints, for each address, by which station it is reached through the interface and the MAC address of that one, as
 * JSON. Argument: the name of the interface and the addresses.
 */
import { readFileSync } from "node:fs";
import { formatIp, formatMac, parseIp } from "../../../src/base/address.ts";
import { findMac, findNexthop } from "../../../src/kernel/neighbours.ts";
import { Netlink } from "../../../src/kernel/netlink.ts";

const netlink = Netlink.open();
const hop = new Uint32Array(4);
const mac = new Uint8Array(6);
const [name, ...addresses] = process.argv[2].split(" ");
const index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, "utf8"));

const found = addresses.map((text) => {
  const words = parseIp(text) ?? new Uint32Array(4);
  if (!findNexthop(netlink, words, 0, index, hop)) return "elsewhere";
  const station = formatIp(hop);
  return findMac(netlink, hop, 0, index, mac) ? `${station} ${formatMac(mac)}` : station;
});
process.stdout.write(JSON.stringify(found));
