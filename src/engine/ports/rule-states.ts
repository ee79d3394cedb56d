/** The rules of a container as they are in force, and what becomes of them by a change. */
import { AppError } from "../../base/errors.ts";
import type { PortAction, PortState } from "../../config/control-types.ts";
import type { PortRuleOptions } from "../../config/options.ts";
import { portRuleText } from "../../config/port-spec.ts";
import { type PortRule, ruleKey } from "../../forward/port-rule.ts";
import type { Families } from "../../forward/port-rules.ts";
import { toPortRules } from "./rules-from-options.ts";

export interface PortRuleState {
  readonly options: PortRuleOptions;
  readonly rule: PortRule;
  /** Ports that could not be had when they were tried last, with a positive errno. */
  readonly failures: Map<number, number>;
}

/**
 * The rules behind a change; those that stay are the same objects. Throws AppError (USAGE) for rules that cannot work
 * together, and for one to delete that is not there.
 */
export function changeRules(
  current: readonly PortRuleState[],
  action: PortAction,
  changes: readonly PortRuleOptions[],
  families: Families,
): PortRuleState[] {
  if (action === "del") return withoutRules(current, changes, families);
  const wanted = action === "set" ? changes : [...current.map(({ options }) => options), ...changes];
  const known = new Map(current.map((state) => [ruleKey(state.rule), state]));
  return toPortRules(wanted, families).map((rule, i) => {
    return known.get(ruleKey(rule)) ?? { options: wanted[i], rule, failures: new Map<number, number>() };
  });
}

function withoutRules(
  current: readonly PortRuleState[],
  changes: readonly PortRuleOptions[],
  families: Families,
): PortRuleState[] {
  const left = new Map(current.map((state) => [ruleKey(state.rule), state]));
  for (const [i, rule] of toPortRules(changes, families).entries()) {
    if (left.delete(ruleKey(rule))) continue;
    const text = portRuleText(changes[i]);
    throw new AppError("USAGE", `there is no rule ${text}; "bucatini ports" shows those there are`);
  }
  return [...left.values()];
}

/**
 * The host's rules before those of the container, so that it is always the same that has its way where each would keep
 * the other from being opened.
 */
export const inOrder = (states: readonly PortRuleState[]): PortRuleState[] =>
  states.toSorted((a, b) => a.rule.pif - b.rule.pif);

/** A weak rule does without the ports that others had at its start; any other one waits for them. */
export const isRetried = ({ rule, failures }: PortRuleState): boolean =>
  failures.size > 0 && (rule.scan || !rule.weak);

/** What has become of a rule. @param open its open ports */
export function stateOf({ rule, failures }: PortRuleState, open: number, waitsFor: string): PortState {
  if (failures.size > 0) return open === 0 ? "failed" : "partial";
  return open === 0 && (rule.scan || waitsFor !== "") ? "waiting" : "listening";
}
