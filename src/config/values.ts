/** Values that a person writes, wherever: on a command line or in a configuration. */
import {
  formatIp,
  formatMac,
  isLoopback,
  isUnicast,
  netmask4,
  parseIp,
  parseMac,
  parsePrefix,
} from "../base/address.ts";
import type { BandwidthLimit, NetworkOptions } from "./options.ts";

/** A value that cannot be. The message says why and goes behind the value: "not an interface name". */
export class ValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ValueError";
  }
}

/** IFNAMSIZ less the terminating zero, @see linux/if.h */
const INTERFACE_NAME_MAX = 15;

/** "address" or "address/length" of a host in canonical form. */
export function hostPrefix(text: string): string {
  const hasLength = text.includes("/");
  const prefix = parsePrefix(hasLength ? text : `${text}/32`);
  if (prefix === undefined || !isUnicast(prefix.address) || isLoopback(prefix.address)) {
    throw new ValueError("not an address a host can have, such as 10.0.2.15/24 or 2001:db8::15/64");
  }
  return hasLength ? `${formatIp(prefix.address)}/${prefix.length}` : formatIp(prefix.address);
}

/** The address of a host, which may be a loopback address, in canonical form. */
export function hostAddress(text: string): string {
  const address = parseIp(text);
  if (address === undefined || !isUnicast(address)) {
    throw new ValueError("not the address of a host, such as 192.0.2.1 or 2001:db8::1");
  }
  return formatIp(address);
}

/** An address that stands, inside, for something else. */
export function aliasAddress(text: string): string {
  const canonical = hostAddress(text);
  if (!isLoopback(parseIp(canonical)!)) return canonical;
  throw new ValueError("a loopback address never leaves the container; take another one");
}

/** The MAC address of an interface in canonical form. */
export function interfaceMac(text: string): string {
  const mac = parseMac(text);
  // The lowest bit of the first byte marks a group address, which no interface can have.
  if (mac === undefined || (mac[0] & 1) !== 0 || mac.every((byte) => byte === 0)) {
    throw new ValueError("not the MAC address of an interface, such as 02:00:00:00:00:01");
  }
  return formatMac(mac);
}

/** Prefix length of a netmask, such as 24 or 255.255.255.0. */
export function netmaskLength(text: string): number {
  if (/^\d{1,2}$/.test(text) && Number(text) <= 32) return Number(text);
  const mask = text.includes(".") ? parseIp(text)?.[3] : undefined;
  const length = mask === undefined ? 0 : Math.clz32(~mask);
  if (mask === undefined || netmask4(length) !== mask) {
    throw new ValueError("not a netmask, such as 24 or 255.255.255.0");
  }
  return length;
}

const UNITS = ["", "k", "m", "g", "t"];
const BURST_SECONDS = 0.1;
const LEAST_BURST = 131_072;

/**
 * Bytes that a limit of so many in a second lets pass at once when nobody says: two of the largest frames, or what a
 * tenth of a second takes.
 */
export const usualBurst = (rate: number): number => Math.max(LEAST_BURST, Math.floor(rate * BURST_SECONDS));

/** A limit from a rate in bits per second, such as 800k, 16mbit or 1.5g (tc(8)). */
export function bandwidthLimit(text: string): BandwidthLimit {
  const [, number, unit] = /^(\d{1,15}(?:\.\d{1,15})?)([kmgt]?)(?:bit)?$/i.exec(text) ?? [];
  const rate = Math.floor((Number(number) * 1000 ** UNITS.indexOf(unit?.toLowerCase() ?? "")) / 8);
  if (!(rate >= 1)) throw new ValueError("not a rate in bits per second, such as 800k, 16m or 1.5g");
  return { rate, burst: usualBurst(rate) };
}

/** A number of bytes, such as 65536, 64k or 1m: binary, as sizes of files are. */
export function byteCount(text: string): number {
  const [, number, unit] = /^(\d{1,12})([kmg]?)$/i.exec(text) ?? [];
  if (number === undefined) throw new ValueError("not a number of bytes, such as 65536, 64k or 1m");
  return Number(number) * 1024 ** UNITS.indexOf(unit.toLowerCase());
}

export function interfaceName(text: string): string {
  const fits = text !== "" && text !== "." && text !== ".." && byteLength(text) <= INTERFACE_NAME_MAX;
  if (!fits || /[/:\s]/.test(text)) {
    throw new ValueError(`not an interface name of 1 to ${INTERFACE_NAME_MAX} bytes`);
  }
  return text;
}

/** The name of an interface that is made; @see devinet_sysctl_register in the kernel's net/ipv4/devinet.c for the last two */
export function newInterfaceName(text: string): string {
  if (!["lo", "all", "default"].includes(text)) return interfaceName(text);
  throw new ValueError("a name that the kernel keeps for itself; choose another one");
}

/** A name that the DNS can carry (RFC 1035 section 2.3.4): labels of 1 to 63 characters of ASCII, 253 in all. */
export function domainName(text: string): string {
  const isName = /^[!-~]{1,254}$/.test(text) && text.replace(/\.$/, "").length <= 253;
  if (!isName || !/^([^.]{1,63}\.)*[^.]{1,63}\.?$/.test(text)) {
    throw new ValueError("not a name that the DNS can carry, such as box.example.org");
  }
  return text;
}

const byteLength = (text: string): number => new TextEncoder().encode(text).length;

const isText4 = (text: string): boolean => !text.includes(":");

/** Of each family the last of the canonical addresses. */
export function lastOfEachFamily(texts: readonly string[]): string[] {
  const byFamily = new Map<boolean, string>();
  for (const text of texts) byFamily.set(isText4(text), text);
  return [...byFamily.values()];
}

/** Tells whether a canonical address is of a family that is switched off. */
export const isOfDisabledFamily = (text: string, { ipv4, ipv6 }: NetworkOptions): boolean =>
  isText4(text) ? !ipv4 : !ipv6;
