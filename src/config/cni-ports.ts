/**
 * Ports of a CNI network configuration: our own keys, and published ports as container runtimes write them (the
 * capability "portMappings" of the CNI conventions).
 */
import type { CniConfig } from "./cni-config.ts";
import { itemsOf, keysOf, read, textOf, type Placed } from "./cni-values.ts";
import { ConfigError } from "./config-error.ts";
import { PORT_RULES_MAX, type PortRuleOptions } from "./options.ts";
import { parsePortSpec, type PortRange, PortSpecError } from "./port-spec.ts";
import { hostAddress } from "./values.ts";

const PORT_MAX = 65_535;
/** Keys that hold specifications of ports, and what each is on the command line. */
const SPEC_KEYS = [
  ["tcpPorts", "-t"],
  ["udpPorts", "-u"],
  ["tcpNs", "-T"],
  ["udpNs", "-U"],
] as const;

/**
 * The rules of the configuration's own keys. Throws ConfigError.
 * @param ephemeral ports that the kernel gives to outgoing connections
 */
export function rulesFromSpecs(config: CniConfig, ephemeral: PortRange): PortRuleOptions[] {
  return SPEC_KEYS.flatMap(([key, option]) =>
    (config[key] ?? []).flatMap((text, index) => {
      try {
        return parsePortSpec(option, text, ephemeral);
      } catch (cause) {
        if (!(cause instanceof PortSpecError)) throw cause;
        throw new ConfigError(`/${key}/${index}`, `is ${text}: ${cause.why}, at character ${cause.at + 1}`);
      }
    }),
  );
}

/** The rules that a list of mappings comes to; entries without a port of the host publish nothing. Throws ConfigError. */
export function rulesFromMappings(mappings: Placed): PortRuleOptions[] {
  const items = itemsOf(mappings);
  if (items.length > PORT_RULES_MAX) {
    throw new ConfigError(mappings.pointer, `must have at most ${PORT_RULES_MAX} entries`);
  }
  return items.flatMap(ruleFromMapping);
}

function ruleFromMapping(mapping: Placed): PortRuleOptions[] {
  const values = keysOf(mapping);
  const placed = (key: string, ifAbsent: unknown): Placed => {
    const { pointer = `${mapping.pointer}/${key}`, value } = values.get(key.toLowerCase()) ?? {};
    return { pointer, value: value ?? ifAbsent };
  };
  const first = port(placed("hostPort", 0), 0);
  if (first === 0) return [];
  const targetFirst = port(placed("containerPort", undefined), 1);
  const protocol = protocolName(placed("protocol", "tcp"));
  const address = listenAddress(placed("hostIP", ""));
  return [
    {
      side: "host",
      protocol,
      ...(address !== undefined && { address }),
      first,
      last: first,
      targetFirst,
    },
  ];
}

function port({ pointer, value }: Placed, least: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= PORT_MAX)
    return value;
  throw new ConfigError(pointer, `must be a number from ${least} to ${PORT_MAX}`);
}

function protocolName(placed: Placed): "tcp" | "udp" {
  const text = textOf(placed);
  const name = text.toLowerCase() || "tcp";
  if (name === "tcp" || name === "udp") return name;
  throw new ConfigError(
    placed.pointer,
    `is ${JSON.stringify(text)}: only tcp and udp can be published`,
    name === "sctp",
  );
}

/** Undefined for every address of both families. */
function listenAddress(placed: Placed): string | undefined {
  const { value } = placed;
  if (value === "") return undefined;
  // Every address of one family is no address of a machine, and a good place to listen.
  return value === "0.0.0.0" || value === "::" ? value : read(placed, hostAddress);
}
