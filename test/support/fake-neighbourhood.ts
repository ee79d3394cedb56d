/** The host's link as its kernel tells of it, in memory. */
import { formatIp, parseIp, parseMac } from "../../src/base/address.ts";

/** Interface of the host through which all its packets leave. */
export const HOST_INTERFACE = 3;

export class FakeNeighbourhood {
  /** What the host has learned of its neighbours: MAC addresses by IP address, both as text. */
  readonly neighbours = new Map<string, string>();
  /** The host's routers, by address of the destination; everybody else is on the link. */
  readonly nexthops = new Map<string, string>();
  /** How often a next hop or a MAC address was asked for. */
  questions = 0;

  findNexthop(words: Uint32Array, at: number, interfaceIndex: number, hop: Uint32Array): boolean {
    this.questions++;
    const router = this.nexthops.get(formatIp(words, at));
    hop.set(router === undefined ? words.subarray(at, at + 4) : parseIp(router)!);
    return interfaceIndex === HOST_INTERFACE;
  }
  findMac(words: Uint32Array, at: number, _interfaceIndex: number, mac: Uint8Array): boolean {
    this.questions++;
    const found = this.neighbours.get(formatIp(words, at));
    if (found !== undefined) mac.set(parseMac(found)!);
    return found !== undefined;
  }
  /** The MAC address by which packets from an address arrive, if it is known. */
  stationOf(address: string): string | undefined {
    return this.neighbours.get(this.nexthops.get(address) ?? address);
  }
}
