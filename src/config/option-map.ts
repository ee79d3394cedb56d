/** Options written as names and values instead of words: annotations of a container, options of a network. */
import { AppError } from "../base/errors.ts";
import type { OptionSpec } from "./command-line.ts";

/**
 * The words of a command line for options by their long names. One without a value says true or false; one that may be
 * repeated has its values between commas, or between spaces when commas are part of them. Throws USAGE.
 * @param what an entry is called in an error, by the name of its option
 */
export function wordsOf(
  options: Readonly<Record<string, string>>,
  specs: readonly OptionSpec[],
  what: (name: string) => string,
): string[] {
  return Object.entries(options).flatMap(([name, text]) => {
    const spec = specs.find((each) => each.name === name);
    if (spec === undefined) {
      throw wrong(what(name), `there is no such option; take one of "bucatini help attach"`);
    }
    if (spec.value === undefined) {
      if (text === "true") return [`--${name}`];
      // Where there is an option for the opposite, that is what is meant.
      const opposite = specs.some((each) => each.name === `no-${name}`) ? [`--no-${name}`] : [];
      if (text === "false") return opposite;
      throw wrong(what(name), `it is ${text}; write true or false`);
    }
    const values =
      spec.repeatable === true ? text.trim().split(spec.hasCommas === true ? /\s+/ : ",") : [text];
    return values.map((value) => `--${name}=${value.trim()}`);
  });
}

const wrong = (what: string, why: string): AppError => new AppError("USAGE", `cannot use ${what}: ${why}`);
