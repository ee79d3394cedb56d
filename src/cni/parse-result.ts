/** Reads results of every version of the specification into the form of the newest one. */
import { formatIp, parseIp, parsePrefix } from "../base/address.ts";
import { DNS_LISTS, type DnsConfig } from "../config/cni-config.ts";
import { itemsOf, keysOf, read, textOf, type Placed } from "../config/cni-values.ts";
import { ConfigError } from "../config/config-error.ts";
import { ValueError } from "../config/values.ts";
import type { CniInterface, CniIp, CniResult, CniRoute } from "./result.ts";
import { type CniVersion, isAtLeast, isSupported } from "./versions.ts";

/**
 * Throws ConfigError.
 * @param version what the result is of when it does not say so itself
 */
export function parseResult(result: Placed, version: CniVersion): CniResult {
  const fields = new Fields(result);
  const own = fields.optional("cniVersion", textOf) ?? version;
  if (!isSupported(own))
    throw new ConfigError(fields.at("cniVersion").pointer, `is ${own}, which is not known here`);
  const dns = parseDns(fields.at("dns"));
  if (!isAtLeast(own, "0.3.0")) return { interfaces: [], ...parseFamilies(fields), dns };
  const interfaces = fields.list("interfaces", parseInterface);
  return {
    interfaces,
    ips: fields.list("ips", (each) => parseAddress(each, interfaces.length)),
    routes: fields.list("routes", parseRoute),
    dns,
  };
}

/** The values of an object, of which absent, null and empty text are the same. */
class Fields {
  readonly #pointer: string;
  readonly #values: ReadonlyMap<string, Placed>;

  constructor(object: Placed) {
    this.#pointer = object.pointer;
    this.#values = keysOf(object);
  }

  at(key: string): Placed {
    return this.#values.get(key.toLowerCase()) ?? { pointer: `${this.#pointer}/${key}`, value: undefined };
  }

  list<Item>(key: string, parse: (item: Placed) => Item): Item[] {
    return itemsOf(this.at(key)).map(parse);
  }

  optional<Value>(key: string, parse: (value: Placed) => Value): Value | undefined {
    const placed = this.at(key);
    return placed.value === undefined || placed.value === null || placed.value === ""
      ? undefined
      : parse(placed);
  }

  /** Those of the keys that have a value. */
  some<Key extends string, Value>(
    keys: readonly Key[],
    parse: (value: Placed) => Value,
  ): Partial<Record<Key, Value>> {
    const found: Partial<Record<Key, Value>> = {};
    for (const key of keys) {
      const value = this.optional(key, parse);
      if (value !== undefined) found[key] = value;
    }
    return found;
  }
}

/** Until 0.2.0 there is one address of each family, and no interface. */
function parseFamilies(result: Fields): Pick<CniResult, "ips" | "routes"> {
  const families = (["ip4", "ip6"] as const).flatMap((key) => {
    const placed = result.at(key);
    return placed.value === undefined || placed.value === null ? [] : [new Fields(placed)];
  });
  return {
    ips: families.map((family) => ({
      address: prefixText(family.at("ip")),
      ...family.some(["gateway"], addressText),
    })),
    routes: families.flatMap((family) => family.list("routes", parseRoute)),
  };
}

function parseInterface(placed: Placed): CniInterface {
  const fields = new Fields(placed);
  return {
    name: textOf(fields.at("name")),
    ...fields.some(["mac", "sandbox", "socketPath", "pciID"], textOf),
    ...fields.some(["mtu"], count),
  };
}

function parseAddress(placed: Placed, interfaces: number): CniIp {
  const fields = new Fields(placed);
  const ip: CniIp = {
    address: prefixText(fields.at("address")),
    ...fields.some(["gateway"], addressText),
    ...fields.some(["interface"], count),
  };
  if (ip.interface === undefined || ip.interface < interfaces) return ip;
  const { pointer } = fields.at("interface");
  throw new ConfigError(pointer, `is ${ip.interface}, but there are ${interfaces} interfaces`);
}

function parseRoute(placed: Placed): CniRoute {
  const fields = new Fields(placed);
  return {
    dst: prefixText(fields.at("dst")),
    ...fields.some(["gw"], addressText),
    ...fields.some(["mtu", "advmss", "priority", "table", "scope"], count),
  };
}

function parseDns(placed: Placed): DnsConfig {
  const fields = new Fields(placed);
  const lists = DNS_LISTS.map((key) => [key, fields.list(key, textOf)] as const);
  return {
    ...Object.fromEntries(lists.filter(([, texts]) => texts.length > 0)),
    ...fields.some(["domain"], textOf),
  };
}

function count({ pointer, value }: Placed): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 0xffffffff) return value;
  throw new ConfigError(pointer, "must be an integer from 0 to 4294967295");
}

const addressText = (placed: Placed): string =>
  read(placed, (text) => {
    const address = parseIp(text);
    if (address === undefined) throw new ValueError("not an IP address");
    return formatIp(address);
  });

const prefixText = (placed: Placed): string =>
  read(placed, (text) => {
    const prefix = parsePrefix(text);
    if (prefix === undefined)
      throw new ValueError("not an address with a prefix length, such as 192.0.2.1/24");
    return `${formatIp(prefix.address)}/${prefix.length}`;
  });
