/** The format of resolv.conf(5): what the host says, and what the container is told. */
import { formatIp, parseIp } from "../base/address.ts";
import { type NetworkOptions, RESOLVER_4, RESOLVER_6 } from "./options.ts";

export interface ResolvConf {
  /** Resolvers in canonical text, in order, without scope; loopback ones included. */
  nameservers: string[];
  /** The last "search" or "domain" line. */
  search: string[];
  /** Words of all "options" lines. */
  options: string[];
}

/** libc asks the resolver on the same machine when there is no "nameserver" line. */
const DEFAULT_NAMESERVER = "127.0.0.1";

/** Reads the text of a resolv.conf; what cannot be understood is left out. */
export function parseResolvConf(text: string): ResolvConf {
  const result = readLines(text);
  if (result.nameservers.length === 0) result.nameservers.push(DEFAULT_NAMESERVER);
  return result;
}

/** Whether the text names a resolver; none is there while it is being written, or before there is a network. */
export const namesResolver = (text: string): boolean => readLines(text).nameservers.length > 0;

function readLines(text: string): ResolvConf {
  const result: ResolvConf = { nameservers: [], search: [], options: [] };
  for (const line of text.split("\n")) {
    if (/^\s*[#;]/.test(line)) continue;
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "nameserver") addNameserver(result.nameservers, values[0] ?? "");
    else if (keyword === "search" || keyword === "domain") result.search = values;
    else if (keyword === "options") result.options.push(...values);
  }
  return result;
}

function addNameserver(list: string[], text: string): void {
  const address = parseIp(text.split("%", 1)[0]);
  if (address === undefined) return;
  const canonical = formatIp(address);
  if (!list.includes(canonical)) list.push(canonical);
}

/** The text of a resolv.conf with other resolvers, keeping the host's search list and options. */
export function formatResolvConf(host: ResolvConf, nameservers: readonly string[]): string {
  const lines = ["# Written by bucatini; these resolvers forward to those of the host."];
  for (const server of nameservers) lines.push(`nameserver ${server}`);
  if (host.search.length > 0) lines.push(`search ${host.search.join(" ")}`);
  if (host.options.length > 0) lines.push(`options ${host.options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

/** Addresses inside that forward DNS, when somebody else says what the resolvers are: those asked for. */
export const givenResolvers = ({ dnsForward }: NetworkOptions): string[] =>
  dnsForward === undefined || dnsForward === "none" ? [] : dnsForward;

/** Addresses inside that forward DNS, when bucatini says what the resolvers are: those asked for, or ours. */
export function forwardingResolvers({ dnsForward, ports }: NetworkOptions): string[] {
  if (dnsForward === "none" || ports.spliceOnly) return [];
  return dnsForward ?? [RESOLVER_4, RESOLVER_6];
}

/** Those to be listed. Both of ours lead to the same place, so the one of the first family is enough. */
export function listedResolvers(network: NetworkOptions): string[] {
  if (network.dnsForward !== undefined) return forwardingResolvers(network);
  return [network.ipv4 ? RESOLVER_4 : RESOLVER_6];
}
