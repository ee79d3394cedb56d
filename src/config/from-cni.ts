/** What a CNI network configuration means. Its keys are those of schemas/cni-config.schema.json. */
import { inPrefix, parseIp, parsePrefix } from "../base/address.ts";
import { ipamType, isEmpty, type CniConfig } from "./cni-config.ts";
import { rulesFromMappings, rulesFromSpecs } from "./cni-ports.ts";
import { askedAddresses, askedBandwidth, askedMac, filledIn, type CniArguments } from "./cni-runtime.ts";
import { read, readList } from "./cni-values.ts";
import { ConfigError } from "./config-error.ts";
import {
  DEFAULT_NETWORK,
  DEFAULT_PORTS,
  MTU_MIN,
  type NetworkOptions,
  type PortOptions,
  type ProcessOptions,
} from "./options.ts";
import type { PortRange } from "./port-spec.ts";
import {
  aliasAddress,
  hostAddress,
  hostPrefix,
  interfaceMac,
  interfaceName,
  isOfDisabledFamily,
  lastOfEachFamily,
} from "./values.ts";

/** What the configuration does not say by itself. */
export interface CniCircumstances {
  /** Name of the interface inside. */
  ifname: string;
  args: CniArguments;
  /** Ports that the kernel gives to outgoing connections. */
  ephemeral: PortRange;
}

/** How the container is to be connected; addresses of an IPAM plugin are not known yet. Throws ConfigError. */
export function networkFromCni(config: CniConfig, circumstances: CniCircumstances): NetworkOptions {
  const { ipv4 = true, ipv6 = true, dhcp = false, offload = true, mtu } = config;
  if (!ipv4 && !ipv6) throw new ConfigError("/ipv6", "must not be false together with /ipv4");
  if (mtu !== undefined && mtu !== 0 && mtu < MTU_MIN) {
    throw new ConfigError("/mtu", `must be 0 or >= ${MTU_MIN}`);
  }
  if (config.follow === false && config.carrier === "follow") {
    throw new ConfigError("/carrier", 'must not be "follow" when /follow is false');
  }
  checkIpam(config);
  const mapHostLoopback = mapping("/mapHostLoopback", config.mapHostLoopback);
  const { args, ifname, ephemeral } = circumstances;
  // An IPAM plugin reads for itself what is asked for.
  const asked = ipamType(config) === undefined ? askedAddresses(config, args) : undefined;
  const configured = readList("/addresses", config.addresses, hostPrefix);
  const options: NetworkOptions = {
    ...DEFAULT_NETWORK,
    ipv4,
    ipv6,
    follow: config.follow ?? DEFAULT_NETWORK.follow,
    addressing: config.addressing ?? DEFAULT_NETWORK.addressing,
    carrier: config.carrier ?? DEFAULT_NETWORK.carrier,
    interfaceName: ifname,
    addresses: withAsked(configured, asked?.addresses ?? []),
    gateways: lastOfEachFamily(readList("/gateways", config.gateways, hostAddress)),
    // What an orchestrator starts does not see what listens on the host's loopback unless somebody says so.
    mapGateway: (config.mapGateway ?? false) && mapHostLoopback !== "none",
    mapHostLoopback: mapHostLoopback ?? [],
    mapGuest: mapping("/mapGuestAddr", config.mapGuestAddr) ?? [],
    dnsHosts: readList("/dnsHost", config.dnsHost, hostAddress),
    outbound: lastOfEachFamily(readList("/outbound", config.outbound, hostAddress)),
    routerAdvertisements: config.routerAdvertisements ?? DEFAULT_NETWORK.routerAdvertisements,
    dhcp: { ipv4: ipv4 && dhcp, ipv6: ipv6 && dhcp },
    ports: portOptions(config, ephemeral),
    without: config.without ?? [],
    offload,
    flows: config.flows ?? DEFAULT_NETWORK.flows,
    logLevel: config.logLevel ?? DEFAULT_NETWORK.logLevel,
    ...(mtu !== undefined && { mtu }),
  };
  setOptional(options, config, args);
  checkFamilies(options, {
    "/addresses": configured,
    ...(asked !== undefined && { [asked.pointer]: asked.addresses }),
    "/gateways": options.gateways,
    "/outbound": options.outbound,
  });
  return options;
}

/**
 * Addresses that a runtime asks for take the place of the configured ones of their family, and the length of a
 * configured network that they are in: Podman asks for one IPv4 address and means IPv6 to stay, and names, when it
 * connects a container again, the addresses it had without their lengths.
 */
function withAsked(configured: readonly string[], asked: readonly string[]): string[] {
  const networks = configured.map(parsePrefix).filter((prefix) => prefix !== undefined);
  const placed = asked.map((text) => {
    const address = parseIp(text);
    const network = address && networks.find((prefix) => inPrefix(address, prefix.address, prefix.length));
    return network === undefined ? text : `${text}/${network.length}`;
  });
  const isAskedFor = (text: string): boolean => asked.some((other) => isIpv6Text(other) === isIpv6Text(text));
  return [...placed, ...configured.filter((text) => !isAskedFor(text))];
}

const isIpv6Text = (text: string): boolean => text.includes(":");

/** What is absent when nobody asks for it. */
function setOptional(options: NetworkOptions, config: CniConfig, args: CniArguments): void {
  const set = (
    key: "ourMac" | "template" | "mac" | `outboundInterface${4 | 6}`,
    pointer: string,
    value: string | undefined,
    parse: (text: string) => string,
  ): void => {
    if (value !== undefined) options[key] = read({ pointer, value }, parse);
  };
  set("mac", "/mac", askedMac(config, args) ?? config.mac, interfaceMac);
  set("ourMac", "/ourMac", config.ourMac, interfaceMac);
  set("template", "/interface", config.interface, interfaceName);
  for (const family of [4, 6] as const) {
    const own = `outboundInterface${family}` as const;
    const key = config[own] === undefined ? "outboundInterface" : own;
    set(own, `/${key}`, config[key], interfaceName);
  }
  const dnsForward = mapping("/dnsForward", config.dnsForward);
  if (dnsForward !== undefined) options.dnsForward = dnsForward;
  const bandwidth = askedBandwidth(config);
  if (bandwidth !== undefined) options.bandwidth = bandwidth;
}

/** How the engine is to run. */
export const processFromCni = ({ logFile, logLimit, captureFile, runAs }: CniConfig): ProcessOptions => ({
  ...(logFile !== undefined && { logFile }),
  ...(logLimit !== undefined && { logLimit }),
  ...(captureFile !== undefined && { captureFile }),
  ...(runAs !== undefined && { runAs }),
});

/** Throws ConfigError. */
function checkIpam(config: CniConfig): void {
  const type = ipamType(config);
  if (type === undefined) {
    if (isEmpty(config.ipam)) return;
    throw new ConfigError("/ipam", "must have a type, the name of the plugin that gives the addresses");
  }
  if (type === "dhcp") {
    const why =
      "it asks on the container's link, which is not there before ADD ends; take host-local or static";
    throw new ConfigError("/ipam/type", `is not supported: "dhcp"; ${why}`, true);
  }
  const other = (["addresses", "gateways"] as const).find((key) => !isEmpty(config[key]));
  if (other === undefined) return;
  throw new ConfigError(`/${other}`, "must not be given together with /ipam, which is for the same");
}

/** Throws ConfigError. */
function portOptions(config: CniConfig, ephemeral: PortRange): PortOptions {
  const { splice = true, hostLoopbackToContainer = false, freebind = false } = config;
  if (hostLoopbackToContainer && !splice) {
    throw new ConfigError("/hostLoopbackToContainer", "must not be true when /splice is false");
  }
  const mappings = filledIn(config, "portMappings");
  const published = mappings === undefined ? [] : rulesFromMappings(mappings);
  const rules = [...rulesFromSpecs(config, ephemeral), ...published];
  return { ...DEFAULT_PORTS, rules, splice, hostLoopbackToContainer, freebind };
}

const mapping = (
  pointer: string,
  value: readonly string[] | "none" | undefined,
): string[] | "none" | undefined =>
  value === undefined || value === "none" ? value : lastOfEachFamily(readList(pointer, value, aliasAddress));

/** What belongs to a family that is switched off is a contradiction, not something to drop silently. */
function checkFamilies(options: NetworkOptions, places: Readonly<Record<string, readonly string[]>>): void {
  if (options.routerAdvertisements && !options.ipv6) {
    throw new ConfigError("/routerAdvertisements", "must not be true when /ipv6 is false");
  }
  for (const [pointer, addresses] of Object.entries(places)) {
    const wrong = addresses.find((text) => isOfDisabledFamily(text, options));
    if (wrong === undefined) continue;
    throw new ConfigError(pointer, `has ${wrong}, but ${options.ipv4 ? "/ipv6" : "/ipv4"} is false`);
  }
}
