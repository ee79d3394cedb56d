/**
 * What a container runtime asks for beside the network's own configuration: `runtimeConfig`, filled in for the
 * capabilities that the configuration declares, and `args`. CNI_ARGS, which says some of it too, comes last.
 * @see CNI conventions, "Dynamic Plugin specific Fields"
 */
import { DNS_LISTS, isEmpty, type CniConfig, type DnsConfig } from "./cni-config.ts";
import { itemsOf, keysOf, read, readList, textOf, type Placed } from "./cni-values.ts";
import { ConfigError } from "./config-error.ts";
import type { Bandwidth, BandwidthLimit } from "./options.ts";
import { hostPrefix, interfaceMac, usualBurst } from "./values.ts";

/** What CNI_ARGS asks for, in canonical form. */
export interface CniArguments {
  /** "address/length" or "address" */
  ips: string[];
  mac?: string;
}

/** What the runtime has filled in for a capability, in whatever form; undefined for no such key. Throws ConfigError. */
export const filledIn = ({ runtimeConfig }: CniConfig, name: string): Placed | undefined =>
  keysOf({ pointer: "/runtimeConfig", value: runtimeConfig }).get(name.toLowerCase());

/** What the runtime has filled in for a capability; undefined for nothing. Throws ConfigError. */
const capability = (config: CniConfig, name: string): Placed | undefined => given(filledIn(config, name));

const given = (placed: Placed | undefined): Placed | undefined =>
  placed === undefined || isEmpty(placed.value) ? undefined : placed;

/** `args` is anybody's; only what is there in our terms counts. */
function argument({ args }: CniConfig, name: string): Placed | undefined {
  if (typeof args !== "object" || args === null || !("cni" in args)) return undefined;
  return given(keysOf({ pointer: "/args/cni", value: args.cni }).get(name));
}

/** Addresses for the container, and where they are asked for; undefined for none. Throws ConfigError. */
export function askedAddresses(
  config: CniConfig,
  fromArguments: CniArguments,
): { pointer: string; addresses: string[] } | undefined {
  const placed = capability(config, "ips") ?? argument(config, "ips");
  if (placed !== undefined) {
    return { pointer: placed.pointer, addresses: readList(placed.pointer, placed.value, hostPrefix) };
  }
  const { ips } = fromArguments;
  return ips.length === 0 ? undefined : { pointer: "CNI_ARGS IP", addresses: ips };
}

/** The container's MAC address in canonical form; undefined leaves it open. Throws ConfigError. */
export function askedMac(config: CniConfig, fromArguments: CniArguments): string | undefined {
  const placed = capability(config, "mac") ?? argument(config, "mac");
  return placed === undefined ? fromArguments.mac : read(placed, interfaceMac);
}

/** What the container's resolv.conf is to hold, as far as anybody says so. Throws ConfigError. */
export function askedDns(config: CniConfig): DnsConfig {
  const values = keysOf(capability(config, "dns") ?? { pointer: "/runtimeConfig", value: undefined });
  const dns: DnsConfig = { ...config.dns };
  for (const key of DNS_LISTS) {
    // The capability has other names than the result for two of them.
    const runtimes = { nameservers: "servers", search: "searches", options: "options" }[key];
    const texts = itemsOf(values.get(runtimes) ?? { pointer: "", value: undefined }).map(textOf);
    if (texts.length > 0) dns[key] = texts;
  }
  return dns;
}

/** What Kubernetes' runtimes write, as nobody can choose one there: half a gigabyte, before which there would be no limit. */
const NO_BURST = 0xffff_ffff;

/** Undefined for no limit. Throws ConfigError. */
export function askedBandwidth(config: CniConfig): Bandwidth | undefined {
  const values = keysOf(capability(config, "bandwidth") ?? { pointer: "", value: config });
  const bandwidth: Bandwidth = {};
  for (const direction of ["ingress", "egress"] as const) {
    const limit = bandwidthLimit(bits(values, `${direction}rate`), bits(values, `${direction}burst`));
    if (limit !== undefined) bandwidth[direction] = limit;
  }
  return isEmpty(bandwidth) ? undefined : bandwidth;
}

/** From bits, which CNI counts in, to bytes. */
function bandwidthLimit(rateBits: number, burstBits: number): BandwidthLimit | undefined {
  if (rateBits === 0) return undefined;
  const rate = Math.max(1, Math.floor(rateBits / 8));
  const isChosen = burstBits !== 0 && burstBits !== NO_BURST;
  const burst = isChosen ? burstBits / 8 : usualBurst(rate);
  return { rate, burst: Math.max(1, Math.floor(burst)) };
}

function bits(values: ReadonlyMap<string, Placed>, key: string): number {
  const { pointer, value } = values.get(key) ?? { pointer: "", value: 0 };
  if (value === null) return 0;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new ConfigError(pointer, "must be a number of bits, 0 or more");
}
