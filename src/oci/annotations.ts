/** Options in a container's annotations: `org.bucatini.mtu` says what `--mtu` says on the command line. */
import { AppError } from "../base/errors.ts";
import type { OptionSpec } from "../config/command-line.ts";

const PREFIX = "org.bucatini.";

/**
 * The annotations that are ours as arguments of a command line. One for an option without a value says true or
 * false; one for an option that may be repeated has its values between commas, or between spaces
 * when commas are part of them. Throws USAGE.
 */
export function argumentsOf(
  annotations: Readonly<Record<string, string>>,
  specs: readonly OptionSpec[],
): string[] {
  return Object.entries(annotations).flatMap(([key, text]) => {
    if (!key.startsWith(PREFIX)) return [];
    const name = key.slice(PREFIX.length);
    const spec = specs.find((each) => each.name === name);
    if (spec === undefined) throw wrong(key, `there is no such option; take one of "bucatini help attach"`);
    if (spec.value === undefined) return isOn(key, text) ? [`--${name}`] : [];
    const values =
      spec.repeatable === true ? text.trim().split(spec.hasCommas === true ? /\s+/ : ",") : [text];
    return values.map((value) => `--${name}=${value.trim()}`);
  });
}

function isOn(key: string, text: string): boolean {
  if (text !== "true" && text !== "false") throw wrong(key, `it is ${text}; write true or false`);
  return text === "true";
}

const wrong = (key: string, why: string): AppError =>
  new AppError("USAGE", `cannot use the annotation ${key}: ${why}`);
