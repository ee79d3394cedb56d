/** What a person should know of rules of port forwarding that are in force. */
import type { PortRuleStatus } from "./control-types.ts";
import { portRuleText } from "./port-spec.ts";

/** A host that lacks more than this lacks a network. */
const NOTES_MAX = 8;

/** What rules wait for, one sentence for each thing that is not there. */
export function waitingNotes(rules: readonly PortRuleStatus[]): string[] {
  const waiting = new Map<string, string[]>();
  for (const rule of rules) {
    if (rule.waitsFor === undefined) continue;
    const others = waiting.get(rule.waitsFor);
    const text = portRuleText(rule);
    if (others === undefined) waiting.set(rule.waitsFor, [text]);
    else others.push(text);
  }
  const notes = Array.from(waiting, ([what, [first, ...others]]) => {
    const more = others.length === 0 ? "" : ` and ${others.length} more`;
    return `waiting for ${what}: until it is there, ${first}${more} cannot be reached`;
  });
  const more = notes.length - NOTES_MAX;
  return more <= 0
    ? notes
    : [...notes.slice(0, NOTES_MAX), `waiting for ${more} more (see "bucatini ports")`];
}
