/**
 * Published ports as container runtimes write them (the capability "portMappings" of the CNI conventions). containerd
 * and Podman begin the keys with a small letter, nerdctl with a capital one.
 */
import type { PortRuleOptions } from "./options.ts";
import { hostAddress } from "./values.ts";

/** A mapping that cannot be used; `pointer` is relative to the list (RFC 6901). */
export class PortMappingError extends Error {
  readonly pointer: string;
  constructor(pointer: string, why: string) {
    super(why);
    this.name = "PortMappingError";
    this.pointer = pointer;
  }
}

const PORT_MAX = 65_535;

/** The rules that a list of mappings comes to; entries without a port of the host publish nothing. Throws PortMappingError. */
export function rulesFromMappings(mappings: unknown): PortRuleOptions[] {
  if (!Array.isArray(mappings)) throw new PortMappingError("", "must be a list");
  return mappings.flatMap((mapping: unknown, index) => {
    const rule = ruleFromMapping(mapping, `/${index}`);
    return rule === undefined ? [] : [rule];
  });
}

function ruleFromMapping(mapping: unknown, pointer: string): PortRuleOptions | undefined {
  if (typeof mapping !== "object" || mapping === null)
    throw new PortMappingError(pointer, "must be an object");
  const values = new Map(
    Object.entries(mapping).map(([key, value]) => [key.toLowerCase(), value as unknown]),
  );
  const first = port(values.get("hostport") ?? 0, `${pointer}/hostPort`, 0);
  if (first === 0) return undefined;
  const targetFirst = port(values.get("containerport"), `${pointer}/containerPort`, 1);
  const protocol = protocolName(values.get("protocol") ?? "tcp", `${pointer}/protocol`);
  const address = listenAddress(values.get("hostip") ?? "", `${pointer}/hostIP`);
  return {
    side: "host",
    protocol,
    ...(address !== undefined && { address }),
    first,
    last: first,
    targetFirst,
  };
}

function port(value: unknown, pointer: string, least: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= PORT_MAX)
    return value;
  throw new PortMappingError(pointer, `must be a number from ${least} to ${PORT_MAX}`);
}

function protocolName(value: unknown, pointer: string): "tcp" | "udp" {
  const name = typeof value === "string" ? value.toLowerCase() : "";
  if (name === "tcp" || name === "udp") return name;
  throw new PortMappingError(pointer, `is ${JSON.stringify(value)}: only tcp and udp can be published`);
}

/** Undefined for every address of both families. */
function listenAddress(value: unknown, pointer: string): string | undefined {
  if (value === "") return undefined;
  const isText = typeof value === "string";
  // Every address of one family is no address of a machine, and a good place to listen.
  if (isText && ["0.0.0.0", "::"].includes(value)) return value;
  try {
    if (isText) return hostAddress(value);
  } catch {
    // The same as for what is no text.
  }
  throw new PortMappingError(pointer, `is ${JSON.stringify(value)}: no IP address of this machine`);
}
