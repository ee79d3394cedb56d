/** The options of `run` and `attach`, and what they mean. */
import { type OptionSpec, type ParsedArguments, usage } from "./command-line.ts";
import { PORT_START_OPTIONS, portOptions } from "./port-options.ts";
import type { PortRange } from "./port-spec.ts";
import {
  ADDRESSINGS,
  CARRIERS,
  DEFAULT_NETWORK,
  FLOWS_MAX,
  FLOWS_MIN,
  LOG_LEVELS,
  MTU_MAX,
  MTU_MIN,
  SERVICES,
  type Bandwidth,
  type DhcpOptions,
  type LogLevel,
  type NetworkOptions,
} from "./options.ts";
import {
  aliasAddress,
  bandwidthLimit,
  hostAddress,
  hostPrefix,
  interfaceMac,
  interfaceName,
  newInterfaceName,
  isOfDisabledFamily,
  lastOfEachFamily,
  netmaskLength,
  ValueError,
} from "./values.ts";

/** Options that say how the container is connected. */
export const NETWORK_OPTIONS: readonly OptionSpec[] = [
  { name: "address", value: "ADDR/LEN", repeatable: true, help: "address inside, instead of the host's" },
  {
    name: "netmask",
    value: "MASK",
    completes: { option: "address", with: withNetmask },
    help: "netmask, or length, of the latest IPv4 --address",
  },
  { name: "gateway", value: "ADDR", repeatable: true, help: "default gateway inside, instead of the host's" },
  { name: "mtu", value: "BYTES", help: `MTU inside, ${MTU_MIN} to ${MTU_MAX}; 0 leaves it alone` },
  { name: "mac", value: "MAC", help: "MAC address inside" },
  { name: "ifname", value: "NAME", help: "name of the interface inside" },
  { name: "interface", value: "NAME", help: "interface of the host to take addresses and routes from" },
  { name: "follow", help: "change with the host's network; the default" },
  { name: "no-follow", help: "keep addresses, routes and resolvers as they are at the start" },
  {
    name: "addressing",
    value: ADDRESSINGS.join("|"),
    help: "where addresses come from: the host's, or a range that only the container has",
  },
  {
    name: "carrier",
    value: CARRIERS.join("|"),
    help: "whether the link inside goes down with that of the host's interface",
  },
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
  { name: "outbound-if4", value: "NAME", help: "the same for IPv4 only" },
  { name: "outbound-if6", value: "NAME", help: "the same for IPv6 only" },
  ...PORT_START_OPTIONS,
  { name: "ra", help: "play an IPv6 router: answer router solicitations, and advertise unasked" },
  { name: "dhcp", help: "play a DHCP server, for IPv4 and IPv6" },
  { name: "bandwidth-in", value: "RATE", help: "bits per second to the container, at most" },
  { name: "bandwidth-out", value: "RATE", help: "bits per second from the container, at most" },
  { name: "no-tcp", help: "carry no TCP" },
  { name: "no-udp", help: "carry no UDP" },
  { name: "no-icmp", help: "carry no pings, and answer no neighbour discovery" },
  { name: "no-ndp", help: "answer no neighbour discovery" },
  { name: "no-offload", help: "no checksum and segmentation offloads on the TAP" },
  { name: "flows", value: "N", help: "connections at the same time, at most" },
  { name: "log-level", value: "LEVEL", help: LOG_LEVELS.join(", ") },
];

/**
 * What the parsed options ask for. Throws USAGE.
 * @param ephemeral ports that the kernel gives to outgoing connections
 */
export function networkOptions(parsed: ParsedArguments, ephemeral: PortRange): NetworkOptions {
  const { values } = parsed;
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const all = (name: string): readonly string[] => values.get(name) ?? [];
  if (values.has("ipv4-only") && values.has("ipv6-only")) {
    throw usage("--ipv4-only and --ipv6-only together leave no network");
  }
  if (values.has("follow") && values.has("no-follow")) {
    throw usage("--follow and --no-follow are opposites: leave one of them away");
  }
  if (values.has("no-follow") && last("carrier") === "follow") {
    throw usage("--carrier follow is what --no-follow switches off");
  }
  checkLink(parsed);
  const mapLoopback = mapping("map-host-loopback", all("map-host-loopback"));
  const options: NetworkOptions = {
    ...DEFAULT_NETWORK,
    ipv4: !values.has("ipv6-only"),
    ipv6: !values.has("ipv4-only"),
    follow: !values.has("no-follow"),
    addresses: all("address").map((text) => readValue("address", text, hostPrefix)),
    gateways: onePerFamily("gateway", all("gateway"), aliasAddress),
    mapGateway: !values.has("no-map-gw") && mapLoopback !== "none",
    mapHostLoopback: mapLoopback ?? [],
    mapGuest: mapping("map-guest-addr", all("map-guest-addr")) ?? [],
    dnsHosts: all("dns-host").map((text) => readValue("dns-host", text, hostAddress)),
    outbound: onePerFamily("outbound", all("outbound"), hostAddress),
    routerAdvertisements: values.has("ra"),
    dhcp: dhcpOptions(values),
    ports: portOptions(parsed, ephemeral),
    without: SERVICES.filter((service) => values.has(`no-${service}`)),
    offload: !values.has("no-offload"),
  };
  const bandwidth = bandwidthOption(last("bandwidth-in"), last("bandwidth-out"));
  if (bandwidth !== undefined) options.bandwidth = bandwidth;
  const dnsForward = mapping("dns-forward", all("dns-forward"));
  if (dnsForward !== undefined) options.dnsForward = dnsForward;
  set(options, "mtu", last("mtu"), mtuNumber);
  set(options, "mac", last("mac"), (text) => readValue("mac", text, interfaceMac));
  set(options, "interfaceName", last("ifname"), (text) => readValue("ifname", text, newInterfaceName));
  set(options, "template", last("interface"), (text) => readValue("interface", text, interfaceName));
  for (const family of [4, 6] as const) {
    const name = values.has(`outbound-if${family}`) ? `outbound-if${family}` : "outbound-if";
    set(options, `outboundInterface${family}`, last(name), (text) => readValue(name, text, interfaceName));
  }
  set(options, "flows", last("flows"), (text) => integer("flows", text, FLOWS_MIN, FLOWS_MAX));
  set(options, "addressing", last("addressing"), (text) => oneOf("--addressing", text, ADDRESSINGS));
  set(options, "carrier", last("carrier"), (text) => oneOf("--carrier", text, CARRIERS));
  set(options, "logLevel", last("log-level"), (text) => logLevel(text));
  checkFamilies(options);
  return options;
}

/** A family that is switched off has no server either. */
const dhcpOptions = (values: ParsedArguments["values"]): DhcpOptions => ({
  ipv4: values.has("dhcp") && !values.has("ipv6-only"),
  ipv6: values.has("dhcp") && !values.has("ipv4-only"),
});

/** Options that mean nothing without an interface inside. */
export const LINK_OPTIONS = [
  "address",
  "gateway",
  "mtu",
  "mac",
  "ifname",
  "interface",
  "addressing",
  "carrier",
  "map-host-loopback",
  "no-map-gw",
  "map-guest-addr",
  "dns-forward",
  "dns-host",
  "outbound",
  "outbound-if",
  "outbound-if4",
  "outbound-if6",
  "ra",
  "dhcp",
  "bandwidth-in",
  "bandwidth-out",
  "capture",
  "no-icmp",
  "no-ndp",
  "no-offload",
];

/** What has no effect is a contradiction, not something to drop silently. */
function checkLink({ values }: ParsedArguments): void {
  const other = values.has("splice-only") ? LINK_OPTIONS.find((name) => values.has(name)) : undefined;
  if (other !== undefined) throw usage(`--splice-only makes no interface inside, which --${other} is for`);
}

function set<Key extends keyof NetworkOptions>(
  options: NetworkOptions,
  key: Key,
  text: string | undefined,
  convert: (text: string) => NetworkOptions[Key],
): void {
  if (text !== undefined) options[key] = convert(text);
}

/** Reads a value; the error names the option. */
export function readValue<Value>(option: string, text: string, read: (text: string) => Value): Value {
  try {
    return read(text);
  } catch (cause) {
    if (cause instanceof ValueError) throw usage(`--${option} ${text}: ${cause.message}`);
    throw cause;
  }
}

/** What belongs to a family that is switched off is a contradiction, not something to drop silently. */
function checkFamilies(options: NetworkOptions): void {
  if (options.routerAdvertisements && !options.ipv6)
    throw usage("--ra is for IPv6, and --ipv4-only switches that off");
  if (options.routerAdvertisements && options.without.some((each) => each === "icmp" || each === "ndp")) {
    throw usage("--ra is neighbour discovery, which --no-ndp and --no-icmp switch off");
  }
  const mapped = [options.mapHostLoopback, options.mapGuest, options.dnsForward].flatMap((each) =>
    each === undefined || each === "none" ? [] : each,
  );
  const ports = options.ports.rules
    .flatMap(({ address, targetAddress }) => [address, targetAddress])
    .filter((each) => each !== undefined);
  const given = [...options.addresses, ...options.gateways, ...options.outbound, ...mapped, ...ports];
  const wrong = given.find((text) => isOfDisabledFamily(text, options));
  if (wrong === undefined) return;
  throw usage(
    `${wrong} is given, but ${options.ipv4 ? "--ipv4-only" : "--ipv6-only"} switches its family off`,
  );
}

function bandwidthOption(ingress: string | undefined, egress: string | undefined): Bandwidth | undefined {
  if (ingress === undefined && egress === undefined) return undefined;
  return {
    ...(ingress !== undefined && { ingress: readValue("bandwidth-in", ingress, bandwidthLimit) }),
    ...(egress !== undefined && { egress: readValue("bandwidth-out", egress, bandwidthLimit) }),
  };
}

const onePerFamily = (option: string, texts: readonly string[], read: (text: string) => string): string[] =>
  lastOfEachFamily(texts.map((text) => readValue(option, text, read)));

/** Addresses that stand for something else, one of each family; undefined when the option was not given. */
function mapping(option: string, texts: readonly string[]): string[] | "none" | undefined {
  if (texts.length === 0) return undefined;
  if (texts.at(-1) === "none") return "none";
  const addresses = texts.filter((text) => text !== "none");
  return lastOfEachFamily(addresses.map((text) => readValue(option, text, aliasAddress)));
}

/**
 * Gives the latest IPv4 address, which has no length yet, that of a netmask. Throws USAGE.
 * @param addresses as they were written
 */
export function withNetmask(addresses: readonly string[], mask: string): string[] {
  const latest = addresses.findLastIndex((each) => !each.includes(":"));
  const address = addresses[latest];
  if (address === undefined) throw usage(`--netmask ${mask} needs an IPv4 --address in front of it`);
  if (address.includes("/")) throw usage(`--netmask ${mask}: --address ${address} says the length already`);
  return addresses.with(latest, `${address}/${readValue("netmask", mask, netmaskLength)}`);
}

function mtuNumber(text: string): number {
  return text === "0" ? 0 : integer("mtu", text, MTU_MIN, MTU_MAX);
}

function integer(option: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max)) throw usage(`--${option} ${text}: not a number from ${min} to ${max}`);
  return value;
}

/** @param where names it in the error. Throws USAGE. */
export function logLevel(text: string, where = "--log-level"): LogLevel {
  return oneOf(where, text, LOG_LEVELS);
}

function oneOf<Word extends string>(where: string, text: string, words: readonly Word[]): Word {
  const word = words.find((each) => each === text);
  if (word === undefined) throw usage(`${where} ${text}: not one of ${words.join(", ")}`);
  return word;
}
