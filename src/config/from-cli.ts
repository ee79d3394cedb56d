/** The options of `run` and `attach`, and what they mean. */
import {
  formatIp,
  formatMac,
  isIpv4,
  isLoopback,
  isUnicast,
  parseIp,
  parseMac,
  parsePrefix,
} from "../base/address.ts";
import { type OptionSpec, type ParsedArguments, usage } from "./command-line.ts";
import {
  DEFAULT_NETWORK,
  LOG_LEVELS,
  MTU_MAX,
  MTU_MIN,
  type LogLevel,
  type NetworkOptions,
} from "./options.ts";

/** Options that say how the container is connected. */
export const NETWORK_OPTIONS: readonly OptionSpec[] = [
  { name: "address", value: "ADDR/LEN", repeatable: true, help: "address inside, instead of the host's" },
  { name: "gateway", value: "ADDR", repeatable: true, help: "default gateway inside, instead of the host's" },
  { name: "mtu", value: "BYTES", help: `MTU inside, ${MTU_MIN} to ${MTU_MAX}; 0 leaves it alone` },
  { name: "mac", value: "MAC", help: "MAC address inside" },
  { name: "ifname", value: "NAME", help: "name of the interface inside" },
  { name: "interface", value: "NAME", help: "interface of the host to take addresses and routes from" },
  { name: "ipv4-only", short: "4", help: "no IPv6" },
  { name: "ipv6-only", short: "6", help: "no IPv4" },
  {
    name: "map-host-loopback",
    value: "ADDR|none",
    repeatable: true,
    help: "address inside for the host's loopback",
  },
  { name: "no-map-gw", help: "do not let the gateway stand for the host's loopback" },
  {
    name: "map-guest-addr",
    value: "ADDR|none",
    repeatable: true,
    help: "address inside for the host's own address",
  },
  {
    name: "dns-forward",
    value: "ADDR|none",
    repeatable: true,
    help: "address inside that stands for the resolver",
  },
  {
    name: "dns-host",
    value: "ADDR",
    repeatable: true,
    help: "resolver outside, instead of those in resolv.conf",
  },
  { name: "outbound", value: "ADDR", repeatable: true, help: "source address of connections outside" },
  { name: "outbound-if", value: "NAME", help: "interface that connections outside are bound to" },
  { name: "no-offload", help: "no checksum and segmentation offloads on the TAP" },
  { name: "flows", value: "N", help: "connections at the same time, at most" },
  { name: "log-level", value: "LEVEL", help: LOG_LEVELS.join(", ") },
];

/** IFNAMSIZ less the terminating zero, @see linux/if.h */
const INTERFACE_NAME_MAX = 15;
const FLOWS_MIN = 16;
const FLOWS_MAX = 1_048_576;

/** What the parsed options ask for. Throws USAGE. */
export function networkOptions({ values }: ParsedArguments): NetworkOptions {
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const all = (name: string): readonly string[] => values.get(name) ?? [];
  if (values.has("ipv4-only") && values.has("ipv6-only")) {
    throw usage("--ipv4-only and --ipv6-only together leave no network");
  }
  const mapLoopback = mapping("map-host-loopback", all("map-host-loopback"));
  const options: NetworkOptions = {
    ...DEFAULT_NETWORK,
    ipv4: !values.has("ipv6-only"),
    ipv6: !values.has("ipv4-only"),
    addresses: all("address").map(prefixText),
    gateways: onePerFamily("gateway", all("gateway")),
    mapGateway: !values.has("no-map-gw") && mapLoopback !== "none",
    mapHostLoopback: mapLoopback ?? [],
    mapGuest: mapping("map-guest-addr", all("map-guest-addr")) ?? [],
    dnsHosts: all("dns-host").map((text) => addressText("dns-host", text)),
    outbound: onePerFamily("outbound", all("outbound")),
    offload: !values.has("no-offload"),
  };
  const dnsForward = mapping("dns-forward", all("dns-forward"));
  if (dnsForward !== undefined) options.dnsForward = dnsForward;
  set(options, "mtu", last("mtu"), mtuNumber);
  set(options, "mac", last("mac"), macText);
  set(options, "interfaceName", last("ifname"), (text) => interfaceName("ifname", text));
  set(options, "template", last("interface"), (text) => interfaceName("interface", text));
  set(options, "outboundInterface", last("outbound-if"), (text) => interfaceName("outbound-if", text));
  set(options, "flows", last("flows"), (text) => integer("flows", text, FLOWS_MIN, FLOWS_MAX));
  set(options, "logLevel", last("log-level"), logLevel);
  checkFamilies(options);
  return options;
}

function set<Key extends keyof NetworkOptions>(
  options: NetworkOptions,
  key: Key,
  text: string | undefined,
  parse: (text: string) => NetworkOptions[Key],
): void {
  if (text !== undefined) options[key] = parse(text);
}

const isText4 = (text: string): boolean => !text.includes(":");

/** Addresses of a family that is switched off are a contradiction, not something to drop silently. */
function checkFamilies(options: NetworkOptions): void {
  const given = [...options.addresses, ...options.gateways, ...options.outbound];
  for (const text of given) {
    if (isText4(text) ? !options.ipv4 : !options.ipv6) {
      throw usage(
        `${text} is given, but ${isText4(text) ? "--ipv6-only" : "--ipv4-only"} switches its family off`,
      );
    }
  }
}

function prefixText(text: string): string {
  const hasLength = text.includes("/");
  const prefix = parsePrefix(hasLength ? text : `${text}/32`);
  if (prefix === undefined || !isUnicast(prefix.address) || isLoopback(prefix.address)) {
    throw usage(`--address ${text}: not an address a host can have, such as 10.0.2.15/24 or 2001:db8::15/64`);
  }
  return hasLength ? `${formatIp(prefix.address)}/${prefix.length}` : formatIp(prefix.address);
}

function addressText(option: string, text: string): string {
  const address = parseIp(text);
  if (address === undefined || !isUnicast(address)) {
    throw usage(`--${option} ${text}: not the address of a host, such as 192.0.2.1 or 2001:db8::1`);
  }
  return formatIp(address);
}

function onePerFamily(option: string, texts: readonly string[]): string[] {
  const byFamily = new Map<boolean, string>();
  for (const text of texts) {
    const canonical = addressText(option, text);
    byFamily.set(isText4(canonical), canonical);
  }
  return [...byFamily.values()];
}

/** Addresses that stand for something else, one of each family; undefined when the option was not given. */
function mapping(option: string, texts: readonly string[]): string[] | "none" | undefined {
  if (texts.length === 0) return undefined;
  if (texts.at(-1) === "none") return "none";
  const addresses = onePerFamily(
    option,
    texts.filter((text) => text !== "none"),
  );
  const loopback = addresses.find((text) => isLoopback(parseIp(text)!));
  if (loopback === undefined) return addresses;
  throw usage(`--${option} ${loopback}: a loopback address never leaves the container; take another one`);
}

function mtuNumber(text: string): number {
  return text === "0" ? 0 : integer("mtu", text, MTU_MIN, MTU_MAX);
}

function integer(option: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw usage(`--${option} ${text}: not a number from ${min} to ${max}`);
  return value;
}

function macText(text: string): string {
  const mac = parseMac(text);
  // The lowest bit of the first byte marks a group address, which no interface can have.
  if (mac === undefined || (mac[0] & 1) !== 0 || mac.every((byte) => byte === 0)) {
    throw usage(`--mac ${text}: not the MAC address of an interface, such as 02:00:00:00:00:01`);
  }
  return formatMac(mac);
}

function interfaceName(option: string, text: string): string {
  const fits = text !== "" && text !== "." && text !== ".." && Buffer.byteLength(text) <= INTERFACE_NAME_MAX;
  if (!fits || /[/:\s]/.test(text)) {
    throw usage(`--${option} ${text}: not an interface name of 1 to ${INTERFACE_NAME_MAX} bytes`);
  }
  return text;
}

function logLevel(text: string): LogLevel {
  const level = LOG_LEVELS.find((each) => each === text);
  if (level === undefined) throw usage(`--log-level ${text}: not one of ${LOG_LEVELS.join(", ")}`);
  return level;
}

/** The address among `texts` that is of the wanted family. */
export const ofFamily = (texts: readonly string[], v6: boolean): string | undefined =>
  texts.find((text) => isIpv4(parseIp(text.split("/", 1)[0])!) !== v6);
