/** The options about ports, of the commands that start an engine and of the one that changes its ports. */
import { AppError } from "../base/errors.ts";
import { type OptionSpec, type ParsedArguments, usage } from "./command-line.ts";
import type { PortOptions, PortRuleOptions } from "./options.ts";
import { combinePortSpecs, PortSpecError, type PortOption, type PortRange } from "./port-spec.ts";
import { portSpecOf } from "./publish.ts";

const SPEC = { value: "SPEC", repeatable: true, hasCommas: true } as const;

/** Options that hold specifications of ports. */
const SPEC_OPTIONS: readonly OptionSpec[] = [
  { name: "tcp-ports", short: "t", ...SPEC, help: "TCP ports of the host that lead into the container" },
  { name: "udp-ports", short: "u", ...SPEC, help: "UDP ports of the host that lead into the container" },
  {
    name: "tcp-ns",
    short: "T",
    ...SPEC,
    help: "TCP ports of the container's loopback that lead to the host's",
  },
  {
    name: "udp-ns",
    short: "U",
    ...SPEC,
    help: "UDP ports of the container's loopback that lead to the host's",
  },
];

/** Options that name ports. */
export const PORT_RULE_OPTIONS: readonly OptionSpec[] = [
  ...SPEC_OPTIONS,
  {
    name: "publish",
    short: "p",
    value: "[ADDR:]PORT:PORT[/udp]",
    repeatable: true,
    help: "port of the host that leads to one of the container, as podman and docker write it",
  },
];

/** All options about ports that an engine can be started with. */
export const PORT_START_OPTIONS: readonly OptionSpec[] = [
  ...PORT_RULE_OPTIONS,
  { name: "host-lo-to-ns-lo", help: "connections to the host's loopback arrive at the container's loopback" },
  {
    name: "no-splice",
    help: "connections from the host's loopback take the way of all others, over the TAP",
  },
  { name: "splice-only", help: "connect the two loopbacks and nothing else: no TAP" },
  { name: "freebind", help: "listen on addresses that the host does not have yet, too" },
];

/**
 * The rules of the options in PORT_RULE_OPTIONS. Throws USAGE, with a PortSpecError as its cause.
 * @param ephemeral ports that the kernel gives to outgoing connections
 */
export function portRules({ values }: ParsedArguments, ephemeral: PortRange): PortRuleOptions[] {
  const published = (values.get("publish") ?? []).map(portSpecOf);
  const given = SPEC_OPTIONS.map(({ name, short }) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the letters of the table above
    const option = `-${short}` as PortOption;
    const specs = published.filter((each) => each.option === option).map(({ spec }) => spec);
    return [option, [...(values.get(name) ?? []), ...specs]] as const;
  });
  try {
    return combinePortSpecs(new Map(given), ephemeral);
  } catch (cause) {
    if (cause instanceof PortSpecError)
      throw new AppError("USAGE", `cannot read ${cause.message}`, { cause });
    throw cause;
  }
}

/** What the options in PORT_START_OPTIONS ask for. Throws USAGE. */
export function portOptions(parsed: ParsedArguments, ephemeral: PortRange): PortOptions {
  const { values } = parsed;
  if (values.has("no-splice")) {
    const other = ["splice-only", "host-lo-to-ns-lo"].find((name) => values.has(name));
    if (other !== undefined) throw usage(`--no-splice switches off what --${other} needs`);
  }
  return {
    rules: portRules(parsed, ephemeral),
    splice: !values.has("no-splice"),
    spliceOnly: values.has("splice-only"),
    hostLoopbackToContainer: values.has("host-lo-to-ns-lo"),
    freebind: values.has("freebind"),
  };
}
