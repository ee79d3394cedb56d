/** `bucatini ports`: which ports an engine forwards, and other ones from now on. */
import type { PortRuleStatus, PortsResult } from "../config/control-types.ts";
import type { PortRuleOptions } from "../config/options.ts";
import { waitingNotes } from "../config/port-notes.ts";
import { portRuleText } from "../config/port-spec.ts";
import { requestEngine } from "../runtime/control-client.ts";
import { nameHolder } from "../runtime/port-holder.ts";
import type { FoundEngine } from "../runtime/state-directory.ts";
import { findEngine, onlyEngine } from "./find-engine.ts";
import type { PortsRequest } from "./options.ts";
import { print, table, tell } from "./output.ts";

export async function ports({ engine: name, change, json }: PortsRequest): Promise<number> {
  const engine = name === undefined ? onlyEngine() : findEngine(name);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the engine is one of ours
  const answer = (await request(engine, change)) as PortsResult;
  if (json) print(JSON.stringify(answer, null, 2));
  else if (change === undefined) print(table([HEADER, ...rows(answer)]));
  if (change !== undefined) waitingNotes(changed(answer, change.rules)).forEach(tell);
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

/** The rules that a change was about. */
function changed({ rules }: PortsResult, wanted: readonly PortRuleOptions[]): PortRuleStatus[] {
  const texts = new Set(wanted.map(portRuleText));
  return rules.filter((rule) => texts.has(portRuleText(rule)));
}

const HEADER = ["RULE", "STATE", "OPEN", "PROBLEM"];

const rows = ({ rules }: PortsResult): string[][] =>
  rules.map((rule) => [
    portRuleText(rule),
    rule.state,
    String(rule.open),
    rule.error?.message ?? (rule.waitsFor === undefined ? "" : `waiting for ${rule.waitsFor}`),
  ]);
