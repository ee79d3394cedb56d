// What the caller may choose: NAME=VALUE words, from the command line or the environment, as `make bench` passes them.
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { SUBJECTS, type Subject } from "./subjects.ts";

export interface Options {
  /** A case runs when its name contains one of these. */
  readonly cases: readonly string[];
  readonly subjects: readonly Subject[];
  readonly repeat: number;
  readonly seconds: number;
  readonly idleSeconds: number;
  readonly family: 4 | 6;
  readonly bucatini: string;
  readonly pasta: string;
  readonly slirp4netns: string;
  /** Where result.json and result.md are written. */
  readonly out: string;
  /** The options that were given, as words. */
  readonly words: readonly string[];
  readonly list: boolean;
  readonly help: boolean;
}

export const USAGE = `make bench [NAME=VALUE...]
  CASES=a,b         only cases whose name contains a or b          all
  SUBJECTS=a,b      of ${SUBJECTS.join(", ")}    all
  REPEAT=N          samples of each case and subject               3
  SECONDS=N         length of one sample                           3
  IDLE_SECONDS=N    length of the idle case                        60
  FAMILY=4|6        IP family of the traffic                       4
  BUCATINI=PATH     engine under test                              dist/bin/bucatini
  PASTA=PATH        pasta to compare with                          pasta
  SLIRP4NETNS=PATH  slirp4netns to compare with                    slirp4netns
  OUT=FOLDER        where result.json and result.md go             /tmp/bucatini-bench-DATE
  LIST=1            print the names of the cases and stop
  HELP=1            print this and stop
`;

const NAMES = new Set(USAGE.match(/[A-Z][A-Z\d_]*(?==)/g));

/** @throws Error that says which word is wrong */
export function parseOptions(words: readonly string[], environment: NodeJS.ProcessEnv): Options {
  const values: Record<string, string | undefined> = { ...environment };
  for (const word of words) {
    const [name = "", ...rest] = word.split("=");
    if (!NAMES.has(name) || rest.length === 0) throw new Error(`unknown option "${word}"\n${USAGE}`);
    values[name] = rest.join("=");
  }
  const family = count(values, "FAMILY", 4);
  if (family !== 4 && family !== 6) throw new Error(`FAMILY=${family}: must be 4 or 6`);
  return {
    cases: list(values["CASES"]),
    subjects: subjects(list(values["SUBJECTS"])),
    repeat: count(values, "REPEAT", 3),
    seconds: count(values, "SECONDS", 3),
    idleSeconds: count(values, "IDLE_SECONDS", 60),
    family,
    bucatini: resolve(values["BUCATINI"] || "dist/bin/bucatini"),
    pasta: values["PASTA"] || "pasta",
    slirp4netns: values["SLIRP4NETNS"] || "slirp4netns",
    out: resolve(values["OUT"] || join(tmpdir(), `bucatini-bench-${new Date().toISOString().slice(0, 19)}`)),
    words: [...NAMES]
      .filter((name) => name !== "OUT" && values[name])
      .map((name) => `${name}=${values[name]}`),
    list: (values["LIST"] ?? "") !== "",
    help: (values["HELP"] ?? "") !== "",
  };
}

function list(value: string | undefined): string[] {
  return (value ?? "").split(",").filter((part) => part !== "");
}

function subjects(wanted: readonly string[]): Subject[] {
  const unknown = wanted.filter((name) => !SUBJECTS.some((subject) => subject === name));
  if (unknown.length > 0)
    throw new Error(`SUBJECTS: unknown ${unknown.join(", ")}; known: ${SUBJECTS.join(", ")}`);
  return SUBJECTS.filter((subject) => wanted.length === 0 || wanted.includes(subject));
}

function count(
  values: Readonly<Record<string, string | undefined>>,
  name: string,
  otherwise: number,
): number {
  const text = values[name] || String(otherwise);
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new Error(`${name}=${text}: must be a whole number from 1 to 9999`);
  return Number(text);
}
