/** Splits arguments into options and the rest, by a table. Knows no particular option. */
import { AppError } from "../base/errors.ts";

/** One option. */
export interface OptionSpec {
  /** Long name without dashes. */
  readonly name: string;
  /** One letter without dash. */
  readonly short?: string;
  /** What the value is called in the help; absent for an option without a value. */
  readonly value?: string;
  /** May be given more than once; otherwise the last one counts. */
  readonly repeatable?: boolean;
  /** Says more about the values of another option that were given before it: what they become. Throws USAGE. */
  readonly completes?: { readonly option: string; with(values: readonly string[], value: string): string[] };
  /** The value itself may hold commas; where several are written as one text, spaces are between them. */
  readonly hasCommas?: boolean;
  readonly help: string;
}

export interface ParsedArguments {
  /** Values by long name, in order; an option without a value has one empty string for each time. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** The arguments that are no options. */
  readonly rest: readonly string[];
}

/**
 * Parses arguments such as `--mtu 1500 --address=10.0.0.1/24 -4 -t80 -- cmd`. What follows "--" is no option. Throws
 * USAGE.
 * @param until "argument" when the first argument that is no option ends the options too
 */
export function parseArguments(
  args: readonly string[],
  specs: readonly OptionSpec[],
  until: "argument" | "end" = "end",
): ParsedArguments {
  const values = new Map<string, string[]>();
  const rest: string[] = [];
  let at = 0;
  for (; at < args.length; at++) {
    const arg = args[at];
    if (arg === "--") {
      at++;
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      if (until === "argument") break;
      rest.push(arg);
      continue;
    }
    const { spec, inline } = findOption(arg, specs);
    let value = inline;
    if (spec.value === undefined) {
      if (inline !== undefined) throw usage(`--${spec.name} takes no value`);
    } else if (value === undefined) {
      value = args[++at];
      if (value === undefined) throw usage(`--${spec.name} needs a value: --${spec.name} ${spec.value}`);
    }
    const { name, repeatable = false, completes } = spec;
    const valuesOf = (option: string): readonly string[] => values.get(option) ?? [];
    if (completes === undefined) values.set(name, [...(repeatable ? valuesOf(name) : []), value ?? ""]);
    else values.set(completes.option, completes.with(valuesOf(completes.option), value ?? ""));
  }
  return { values, rest: [...rest, ...args.slice(at)] };
}

function findOption(arg: string, specs: readonly OptionSpec[]): { spec: OptionSpec; inline?: string } {
  const equals = arg.indexOf("=");
  const word = equals < 0 ? arg : arg.slice(0, equals);
  const spec = specs.find(
    (each) => word === `--${each.name}` || (each.short !== undefined && word === `-${each.short}`),
  );
  // As getopt(3) has it: -t80 is -t 80.
  const glued = specs.find(({ short, value }) => short === arg[1] && value !== undefined);
  if (spec === undefined && glued !== undefined) return { spec: glued, inline: arg.slice(2) };
  if (spec === undefined) throw usage(`unknown option ${word}${suggestion(word, specs)}`);
  return equals < 0 ? { spec } : { spec, inline: arg.slice(equals + 1) };
}

function suggestion(word: string, specs: readonly OptionSpec[]): string {
  const near = specs.find((spec) => word.length > 4 && `--${spec.name}`.startsWith(word));
  return near === undefined ? "" : `; did you mean --${near.name}?`;
}

/** A wrong command line; the message says where the right one is described. */
export class UsageError extends AppError {
  /** The message without that. */
  readonly what: string;
  /** @param command whose line it is, where that is known */
  constructor(what: string, command?: string) {
    const help = command === undefined ? "bucatini help" : `bucatini help ${command}`;
    super("USAGE", `${what} (see "${help}" for what is understood)`);
    this.what = what;
  }
}

export const usage = (what: string): AppError => new UsageError(what);

/** For commands that have options only. Throws USAGE. */
export function takeNoArguments(command: string, rest: readonly string[]): void {
  if (rest.length > 0) throw usage(`${command} takes no arguments, not ${rest.join(" ")}`);
}
