/** `bucatini status`: what one engine says of itself. */
import { type ParsedArguments, usage } from "../config/command-line.ts";
import { offloadNames } from "../kernel/tap.ts";
import { requestEngine } from "../runtime/control-client.ts";
import { findEngine, onlyEngine } from "./find-engine.ts";
import { print } from "./output.ts";

export async function status({ values, rest }: ParsedArguments): Promise<number> {
  if (rest.length > 1) throw usage("status takes one identifier");
  const engine = rest[0] === undefined ? onlyEngine() : findEngine(rest[0]);
  const answer = await requestEngine(engine, "status");
  const all = { ...engine.state, ...(isRecord(answer) ? answer : {}) };
  print(values.has("json") ? JSON.stringify(all, null, 2) : outline(readable(all)).join("\n"));
  return 0;
}

/** With words for what the engine says in bits. */
const readable = (all: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  typeof all["offloads"] === "number" ? { ...all, offloads: describeOffloads(all["offloads"]) } : { ...all };

const describeOffloads = (bits: number): string => offloadNames(bits).join(", ") || "none";

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** JSON as indented "name: value" lines. */
export function outline(value: Readonly<Record<string, unknown>>, indent = ""): string[] {
  return Object.entries(value).flatMap(([name, item]) => {
    if (isRecord(item)) return [`${indent}${name}:`, ...outline(item, `${indent}  `)];
    const text = Array.isArray(item) ? item.map(inline).join(", ") : inline(item);
    return [`${indent}${name}: ${text}`];
  });
}

const inline = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
