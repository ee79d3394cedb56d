/** Reads a command line as getopt_long(3) of glibc does when its option string starts with "+". Knows no particular option. */
import type { OptionSpec } from "../config/command-line.ts";

/** What may be given. */
export interface WordSpec extends OptionSpec {
  /** May not be cut, and so makes nothing else ambiguous. */
  readonly isWhole?: true;
}

/** One option as it was given. */
export interface GivenOption {
  /** Long name without dashes, whichever way it was written. */
  readonly name: string;
  /** Empty for an option without a value. */
  readonly value: string;
}

export interface ReadWords {
  /** In their order, up to the error if there is one. */
  readonly given: readonly GivenOption[];
  /** From the first word on that is no option. */
  readonly rest: readonly string[];
  /** Why reading stopped, as glibc says it. */
  readonly error?: string;
}

/** What the words at one place come to; `next` is the value that the following word would be. */
type ReadWord = (word: string, next: string | undefined, specs: readonly WordSpec[]) => Found;

interface Found {
  given: GivenOption[];
  /** The following word was the value. */
  tookNext?: boolean;
  error?: string;
}

/**
 * Options end at "--" and at the first word that is none. Short ones may share a dash (-qf), have their value behind
 * them (-t80) or as the next word; long ones have it behind "=" or as the next word, and may be cut as long as only one
 * option begins so.
 */
export function readWords(words: readonly string[], specs: readonly WordSpec[]): ReadWords {
  const given: GivenOption[] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at];
    if (!word.startsWith("-") || word === "-") break;
    if (word === "--") {
      at++;
      break;
    }
    const read: ReadWord = word.startsWith("--") ? readLong : readShort;
    const found = read(word, words[at + 1], specs);
    given.push(...found.given);
    if (found.error !== undefined) return { given, rest: [], error: found.error };
    if (found.tookNext === true) at++;
  }
  return { given, rest: words.slice(at) };
}

const readLong: ReadWord = (word, next, specs) => {
  const equals = word.indexOf("=");
  const written = equals < 0 ? word : word.slice(0, equals);
  const exact = specs.find(({ name }) => `--${name}` === written);
  const near =
    exact === undefined
      ? specs.filter(({ name, isWhole }) => isWhole !== true && `--${name}`.startsWith(written))
      : [exact];
  const [spec] = near;
  if (spec === undefined) return failed(`unrecognized option '${written}'`);
  if (near.length > 1) {
    const names = near.map(({ name }) => `'--${name}'`).join(" ");
    return failed(`option '${written}' is ambiguous; possibilities: ${names}`);
  }
  const { name, value: needed } = spec;
  if (equals >= 0) {
    if (needed === undefined) return failed(`option '--${name}' doesn't allow an argument`);
    return { given: [{ name, value: word.slice(equals + 1) }] };
  }
  if (needed === undefined) return { given: [{ name, value: "" }] };
  if (next === undefined) return failed(`option '--${name}' requires an argument`);
  return { given: [{ name, value: next }], tookNext: true };
};

const readShort: ReadWord = (word, next, specs) => {
  const given: GivenOption[] = [];
  for (let at = 1; at < word.length; at++) {
    const letter = word[at];
    const spec = specs.find(({ short }) => short === letter);
    if (spec === undefined) return { given, error: `invalid option -- '${letter}'` };
    const { name, value: needed } = spec;
    if (needed === undefined) {
      given.push({ name, value: "" });
      continue;
    }
    const glued = word.slice(at + 1);
    const value = glued === "" ? next : glued;
    if (value === undefined) return { given, error: `option requires an argument -- '${letter}'` };
    given.push({ name, value });
    return { given, tookNext: glued === "" };
  }
  return { given };
};

const failed = (error: string): Found => ({ given: [], error });
