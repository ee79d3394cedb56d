/**
 * Values of a network configuration with the place they stand at. Runtimes are written in a language whose JSON
 * decoder takes keys in any case, so what they generate comes as "hostPort", "HostPort" and otherwise.
 */
import { ConfigError } from "./config-error.ts";
import { ValueError } from "./values.ts";

/** A value and its JSON pointer (RFC 6901). */
export interface Placed {
  readonly pointer: string;
  readonly value: unknown;
}

/** The values of an object by their keys in lower case; nothing is an empty object. Throws ConfigError. */
export function keysOf({ pointer, value }: Placed): ReadonlyMap<string, Placed> {
  if (value === undefined || value === null) return new Map();
  if (typeof value !== "object" || Array.isArray(value)) throw new ConfigError(pointer, "must be an object");
  const entries: [string, unknown][] = Object.entries(value);
  return new Map(
    entries.map(([key, each]) => [key.toLowerCase(), { pointer: `${pointer}/${escaped(key)}`, value: each }]),
  );
}

const escaped = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** The items of a list; nothing is an empty list. Throws ConfigError. */
export function itemsOf({ pointer, value }: Placed): Placed[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ConfigError(pointer, "must be a list");
  return value.map((each: unknown, index) => ({ pointer: `${pointer}/${index}`, value: each }));
}

/** Throws ConfigError. */
export function textOf({ pointer, value }: Placed): string {
  if (typeof value === "string") return value;
  throw new ConfigError(pointer, "must be text");
}

/** Reads text; the error names its place. Throws ConfigError. */
export function read<Value>(placed: Placed, parse: (text: string) => Value): Value {
  const text = textOf(placed);
  try {
    return parse(text);
  } catch (cause) {
    if (cause instanceof ValueError) throw new ConfigError(placed.pointer, `is ${text}: ${cause.message}`);
    throw cause;
  }
}

/** Reads a list of texts; errors name their places. Throws ConfigError. */
export const readList = <Value>(pointer: string, value: unknown, parse: (text: string) => Value): Value[] =>
  itemsOf({ pointer, value }).map((each) => read(each, parse));
