/** What a network asks for, in the words of bucatini's command line. */
import { inPrefix, isIpv4, parseIp, parsePrefix, type Prefix } from "../base/address.ts";
import { AppError } from "../base/errors.ts";
import type { OptionSpec } from "../config/command-line.ts";
import { wordsOf } from "../config/option-map.ts";
import type { Network, NetworkAttachment, PortMapping } from "./documents.ts";

type Options = Readonly<Record<string, string>>;

/** Options that subnets decide. */
const OF_SUBNETS = ["address", "netmask", "gateway", "addressing"];

/** What all containers of a network have in common. Throws USAGE. @param specs the options that networks may have */
export function networkWords(
  network: Network,
  specs: readonly OptionSpec[],
  containerOptions: Options = {},
): string[] {
  const { name, internal, network_interface: template, network_dns_servers: resolvers } = network;
  if (internal === true)
    throw refused(name, "an internal one would lead nowhere, as every way here is one outside");
  if ((network.routes ?? []).length > 0)
    throw refused(name, "it has routes, and containers have one link with nobody on it but their gateway");
  const options = { ...network.options, ...containerOptions };
  const subnets = prefixes(network);
  const contradiction = OF_SUBNETS.find((each) => subnets.length > 0 && options[each] !== undefined);
  if (contradiction !== undefined)
    throw refused(name, `its subnets say what the option ${contradiction} says`);
  const words = wordsOf(options, specs, (option) => `the option ${option} of the network ${name}`);
  // What a container engine starts does not see the host's loopback unless somebody says so.
  if (!words.includes("--splice-only")) words.unshift("--no-map-gw");
  if (template) words.push(`--interface=${template}`);
  words.push(...(resolvers ?? []).map((address) => `--dns-host=${address}`), ...familyWords(subnets));
  return words;
}

/** What one container is to get. Throws USAGE. @param specs the options that networks may have */
export function containerWords(
  network: Network,
  { network_options: own, port_mappings: ports }: NetworkAttachment,
  specs: readonly OptionSpec[],
): string[] {
  const words = networkWords(network, specs, own.options ?? {});
  words.push(`--ifname=${own.interface_name}`, ...addressWords(network, own.static_ips ?? []));
  if (own.static_mac) words.push(`--mac=${own.static_mac}`);
  return [...words, ...(ports ?? []).flatMap(portWords)];
}

const refused = (network: string, why: string): AppError =>
  new AppError("USAGE", `cannot make the network ${network}: ${why}`);

/** The subnets in their order. Throws USAGE. */
const prefixes = ({ name, subnets }: Network): Prefix[] =>
  (subnets ?? []).map(({ subnet }) => {
    const prefix = parsePrefix(subnet);
    if (prefix === undefined) throw refused(name, `its subnet ${subnet} is no prefix`);
    return prefix;
  });

/** Without subnets the families are the host's. */
function familyWords(subnets: readonly Prefix[]): string[] {
  if (subnets.length === 0) return [];
  const families = new Set(subnets.map(({ address }) => isIpv4(address)));
  if (families.size === 2) return [];
  return [families.has(true) ? "--ipv4-only" : "--ipv6-only"];
}

/** An address of each subnet that has been chosen for the container, and the subnet's gateway. */
function addressWords(network: Network, addresses: readonly string[]): string[] {
  const subnets = prefixes(network);
  const chosen = addresses.map((text) => {
    const address = parseIp(text);
    const index = subnets.findIndex(
      (each) => address !== undefined && inPrefix(address, each.address, each.length),
    );
    if (index < 0) throw refused(network.name, `${text} is in none of its subnets`);
    return { text, index };
  });
  return subnets.flatMap(({ length }, index) => {
    const { subnet, gateway } = network.subnets![index];
    const own = chosen.filter((each) => each.index === index);
    if (own.length === 0)
      throw refused(network.name, `no address of its subnet ${subnet} has been chosen for the container`);
    if (!gateway) throw refused(network.name, `its subnet ${subnet} has no gateway`);
    return [...own.map(({ text }) => `--address=${text}/${length}`), `--gateway=${gateway}`];
  });
}

const PORT_OPTIONS = new Map([
  ["tcp", "--tcp-ports"],
  ["udp", "--udp-ports"],
]);

function portWords({ host_ip: address, host_port, container_port, protocol, range }: PortMapping): string[] {
  const more = Math.max(range ?? 1, 1) - 1;
  const ports = [host_port, container_port].map((first) => `${first}-${first + more}`);
  const listen = address ? `${address.includes(":") ? `[${address}]` : address}/` : "";
  return (protocol || "tcp").split(",").map((name) => {
    const option = PORT_OPTIONS.get(name.trim().toLowerCase());
    if (option !== undefined) return `${option}=${listen}${ports.join(":")}`;
    throw new AppError(
      "USAGE",
      `cannot publish the port ${host_port} of ${name}: only tcp and udp can be forwarded`,
    );
  });
}
