/** Options in a container's annotations: `org.bucatini.mtu` says what `--mtu` says on the command line. */
import type { OptionSpec } from "../config/command-line.ts";
import { wordsOf } from "../config/option-map.ts";

/** Alone it says whether the hook is to do anything: hooks.d descriptions ask for "true". */
const SWITCH = "org.bucatini";
const PREFIX = `${SWITCH}.`;

type Annotations = Readonly<Record<string, string>>;

/** Tells whether the container wants to be left alone. */
export const isSwitchedOff = (annotations: Annotations): boolean => annotations[SWITCH] === "false";

/** The annotations that are ours as words of a command line. Throws USAGE. */
export function argumentsOf(annotations: Annotations, specs: readonly OptionSpec[]): string[] {
  const ours = Object.entries(annotations)
    .filter(([key]) => key.startsWith(PREFIX))
    .map(([key, text]) => [key.slice(PREFIX.length), text]);
  return wordsOf(Object.fromEntries(ours), specs, (name) => `the annotation ${PREFIX}${name}`);
}
