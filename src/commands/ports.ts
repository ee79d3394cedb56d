/** `bucatini ports`: which ports an engine forwards, and other ones from now on. */
import type { PortsResult } from "../config/control-types.ts";
import { portOption, printPortRule } from "../config/port-spec.ts";
import { requestEngine } from "../runtime/control-client.ts";
import { nameHolder } from "../runtime/port-holder.ts";
import type { FoundEngine } from "../runtime/state-directory.ts";
import { findEngine, onlyEngine } from "./find-engine.ts";
import type { PortsRequest } from "./options.ts";
import { print, table } from "./output.ts";

export async function ports({ engine: name, change, json }: PortsRequest): Promise<number> {
  const engine = name === undefined ? onlyEngine() : findEngine(name);
  const answer = await request(engine, change);
  if (json) print(JSON.stringify(answer, null, 2));
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the engine is one of ours
  else if (change === undefined) print(table([HEADER, ...rows(answer as PortsResult)]));
  return 0;
}

async function request(engine: FoundEngine, change: PortsRequest["change"]): Promise<unknown> {
  if (change === undefined) return requestEngine(engine, "ports");
  try {
    return await requestEngine(engine, "setPorts", change);
  } catch (error) {
    throw await nameHolder(error);
  }
}

const HEADER = ["RULE", "STATE", "OPEN", "PROBLEM"];

const rows = ({ rules }: PortsResult): string[][] =>
  rules.map((rule) => [
    `${portOption(rule)} ${printPortRule(rule)}`,
    rule.state,
    String(rule.open),
    rule.error?.message ?? "",
  ]);
