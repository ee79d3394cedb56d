/** What a command line of pasta asks for, in the terms of the launcher. Changes and reads nothing of the system. */
import { isIpv4, parseIp } from "../base/address.ts";
import { usage } from "../config/command-line.ts";
import { LINK_OPTIONS, networkOptions, readValue, withNetmask } from "../config/from-cli.ts";
import {
  LOG_LIMIT_MIN,
  MTU_MAX,
  MTU_MIN,
  type LogLevel,
  type NetworkOptions,
  type ProcessOptions,
} from "../config/options.ts";
import type { PortRange } from "../config/port-spec.ts";
import { interfaceMac, lastOfEachFamily, newInterfaceName } from "../config/values.ts";
import { configurationServices } from "./configuration-services.ts";
import type { GivenOption, ReadWords } from "./getopt.ts";
import { PASTA_OPTIONS } from "./options.ts";

/** What is connected: a command in new namespaces (empty: a login shell), or what exists. */
export type PastaTarget = { command: readonly string[] } | { pid: number } | { netns: string };

export interface PastaRequest {
  target: PastaTarget;
  network: NetworkOptions;
  /** Paths as they were given. */
  process: Omit<ProcessOptions, "runAs">;
  /** USER[:GROUP], numbers or names. */
  runAs?: string;
  /** User namespace to join. */
  userNamespace?: string;
  /** No user namespace is joined or made. */
  netnsOnly: boolean;
  /** The engine stays when the namespace goes away. */
  staysBehind: boolean;
  /** A new PID namespace for the command. */
  newPidNamespace: boolean;
  /** Host name for the command. */
  hostname?: string;
  pidFile?: string;
  foreground: boolean;
  quiet: boolean;
  /** What has no effect, one sentence each. */
  warnings: string[];
}

/** Values by option, in their order; an option without a value has one empty string for each time. */
type Values = Map<string, string[]>;

const LOG_SIZE = 1024 * 1024;
const PORT_OPTIONS = ["tcp-ports", "udp-ports", "tcp-ns", "udp-ns"];
const NUMBER = /^\d{1,9}$/;

/**
 * Throws USAGE.
 * @param ephemeral ports that the kernel gives to outgoing connections
 */
export function pastaRequest({ given, rest }: ReadWords, ephemeral: PortRange): PastaRequest {
  refuse(given);
  const values = collect(given);
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const target = targetOf(values, rest);
  checkNamespaces(values, target);
  const level = logLevel(given);
  const warnings: string[] = [];
  const network = networkOf(values, ephemeral, warnings);
  network.logLevel = level;
  if (values.has("hostname") && !("command" in target) && !network.dhcp.ipv4) {
    throw usage("--hostname is for a COMMAND and for DHCP clients, and there is neither");
  }
  const [runAs, userNamespace, hostname, pidFile] = ["runas", "userns", "hostname", "pid"].map(last);
  return {
    target,
    network,
    process: processOf(values),
    ...(runAs !== undefined && { runAs }),
    ...(userNamespace !== undefined && { userNamespace }),
    netnsOnly: values.has("netns-only"),
    staysBehind: values.has("no-netns-quit"),
    newPidNamespace: !values.has("no-pidns"),
    ...(hostname !== undefined && { hostname }),
    ...(pidFile !== undefined && { pidFile }),
    foreground: values.has("foreground"),
    quiet: level === "warn",
    warnings,
  };
}

function refuse(given: readonly GivenOption[]): void {
  for (const { name } of given) {
    const refused = PASTA_OPTIONS.find((each) => each.name === name)?.refused;
    if (refused !== undefined) throw usage(`--${name} ${refused}`);
  }
}

function collect(given: readonly GivenOption[]): Values {
  const values: Values = new Map();
  for (const { name, value } of netmasksBehindAddresses(given)) {
    // "none" takes back everything about resolvers that was said before it.
    if (name === "dns" && value === "none")
      ["dns", "dns-forward", "dns-host"].forEach((each) => values.delete(each));
    else if (name === "search" && value === "none") values.delete(name);
    else if (name === "netmask") values.set("address", withNetmask(values.get("address") ?? [], value));
    else values.set(name, [...(values.get(name) ?? []), value]);
  }
  return values;
}

/** A netmask belongs to the latest IPv4 address; one in front of all of them belongs to the first. */
function netmasksBehindAddresses(given: readonly GivenOption[]): readonly GivenOption[] {
  const first = given.findIndex(({ name, value }) => name === "address" && !value.includes(":"));
  const isEarly = ({ name }: GivenOption, at: number): boolean => name === "netmask" && at < first;
  const early = given.filter(isEarly).slice(-1);
  const others = given.filter((each, at) => !isEarly(each, at));
  return early.length === 0 ? given : others.toSpliced(others.indexOf(given[first]) + 1, 0, ...early);
}

function targetOf(values: Values, rest: readonly string[]): PastaTarget {
  const netns = values.get("netns")?.at(-1);
  if (netns !== undefined) {
    if (rest.length > 0)
      throw usage(`--netns ${netns} and ${rest[0]}: a PID or a COMMAND has a namespace of its own`);
    return { netns };
  }
  const [word = ""] = rest;
  return rest.length === 1 && /^\d+$/.test(word) ? { pid: processId(word) } : { command: rest };
}

function processId(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw usage(`${text} is no process id`);
}

function checkNamespaces(values: Values, target: PastaTarget): void {
  const isCommand = "command" in target;
  if (values.has("userns") && (isCommand || values.has("netns-only"))) {
    const other = isCommand ? "a COMMAND gets a new one" : "--netns-only joins none";
    throw usage(`--userns names the user namespace to join, and ${other}`);
  }
  if (!isCommand && values.has("no-pidns")) throw usage("--no-pidns is for a COMMAND in new namespaces");
  if (isCommand && values.has("no-netns-quit")) {
    throw usage(
      "--no-netns-quit is for a namespace that exists already: with a COMMAND, all ends with the command",
    );
  }
  if (values.has("stats") && (isCommand || !values.has("foreground"))) {
    throw usage("--stats prints to stderr, which needs --foreground, and a PID or --netns");
  }
}

const LEVELS: ReadonlyMap<string, LogLevel> = new Map([
  ["trace", "trace"],
  ["debug", "debug"],
  ["quiet", "warn"],
]);

/** The last one of those that say how much is logged. */
function logLevel(given: readonly GivenOption[]): LogLevel {
  const level = given.findLast(({ name }) => LEVELS.has(name))?.name ?? "";
  return LEVELS.get(level) ?? "info";
}

function processOf(values: Values): PastaRequest["process"] {
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const [logFile, captureFile, stats] = ["log-file", "pcap", "stats"].map(last);
  return {
    logLimit: number("log-size", last("log-size") ?? String(LOG_SIZE), LOG_LIMIT_MIN),
    ...(logFile !== undefined && { logFile }),
    ...(captureFile !== undefined && { captureFile }),
    ...(stats !== undefined && { statsSeconds: number("stats", stats, 1) }),
  };
}

function number(option: string, text: string, min: number): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min)) throw usage(`--${option} ${text}: not a number of ${min} or more`);
  return value;
}

function networkOf(given: Values, ephemeral: PortRange, warnings: string[]): NetworkOptions {
  const last = (name: string): string | undefined => given.get(name)?.at(-1);
  // Options that the command line of bucatini has too mean the same there.
  const values = withoutForeignFamily(given, warnings);
  values.set("mtu", [mtu(last("mtu"), warnings)]);
  for (const name of PORT_OPTIONS) {
    const off = name.startsWith("tcp") ? "no-tcp" : "no-udp";
    const wanted = given.get(name)?.find((spec) => spec !== "none");
    if (given.has(off) && wanted !== undefined) {
      throw usage(`--${off} switches off what --${name} ${wanted} asks for`);
    }
    if (!given.has(name)) values.set(name, [given.has(off) ? "none" : "auto"]);
  }
  // Without an interface, everything about it has no effect: callers add some of that to every command line.
  if (given.has("splice-only")) LINK_OPTIONS.forEach((name) => values.delete(name));
  const network = networkOptions({ values, rest: [] }, ephemeral);
  Object.assign(network, configurationServices(given, warnings));
  network.configure = given.has("config-net");
  network.dnsHosts = lastOfEachFamily(network.dnsHosts);
  const [ourMac, mac, name] = ["mac-addr", "ns-mac-addr", "ns-ifname"].map(last);
  if (ourMac !== undefined) network.ourMac = readValue("mac-addr", ourMac, interfaceMac);
  if (mac !== undefined) network.mac = readValue("ns-mac-addr", mac, interfaceMac);
  if (name !== undefined) network.interfaceName = readValue("ns-ifname", name, newInterfaceName);
  return network;
}

/** Options with addresses that callers add to every command line, whatever the user has asked for. */
const ADDED_BY_CALLERS = ["map-host-loopback", "map-guest-addr", "dns-forward", "dns-host"];

/** With only one family, addresses of the other one have no effect. */
function withoutForeignFamily(given: Values, warnings: string[]): Values {
  const values: Values = new Map(given);
  const only = ["ipv4-only", "ipv6-only"].find((name) => given.has(name));
  if (only === undefined) return values;
  const isForeign = (text: string): boolean => {
    const address = parseIp(text.split("/", 1)[0]);
    return address !== undefined && isIpv4(address) !== (only === "ipv4-only");
  };
  for (const name of ["address", "gateway", "outbound", ...ADDED_BY_CALLERS]) {
    const texts = given.get(name) ?? [];
    const kept = texts.filter((text) => !isForeign(text));
    if (kept.length < texts.length && !ADDED_BY_CALLERS.includes(name)) {
      warnings.push(`--${name} ${texts.find(isForeign)} has no effect with --${only}`);
    }
    if (kept.length > 0) values.set(name, kept);
    else values.delete(name);
  }
  return values;
}

function mtu(text: string | undefined, warnings: string[]): string {
  if (text === undefined) return String(MTU_MAX);
  const value = NUMBER.test(text) ? Number(text) : 0;
  if (value === 0 || value >= MTU_MIN) return text;
  warnings.push(`an MTU of ${text} is too small for IPv4, which needs ${MTU_MIN}: that is taken instead`);
  return String(MTU_MIN);
}
