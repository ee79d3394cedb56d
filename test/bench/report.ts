// Medians, ratios, the markdown table and the JSON file.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "./cases.ts";
import type { Subject } from "./subjects.ts";

/** One sample of one case and subject. */
export interface Sample {
  readonly case: string;
  readonly subject: Subject;
  readonly round: number;
  /** One number for each row of the case, or why there is none. */
  readonly values: readonly number[];
  readonly error?: string;
  /** CPU time of the engine during the sample, its start included. */
  readonly engineCpuSeconds: number;
  readonly readyMilliseconds: number;
}

export interface Result {
  readonly command: string;
  readonly date: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
  readonly rows: readonly (Row & { readonly medians: Readonly<Partial<Record<Subject, number>>> })[];
  readonly samples: readonly Sample[];
}

export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : mean(sorted[middle - 1], sorted[middle]);
}

/** Writes result.json and result.md into `folder` and returns the markdown. */
export function writeReport(folder: string, result: Result, subjects: readonly Subject[]): string {
  const markdown = toMarkdown(result, subjects);
  writeFileSync(join(folder, "result.json"), `${JSON.stringify(result, undefined, 1)}\n`);
  writeFileSync(join(folder, "result.md"), markdown);
  return markdown;
}

function toMarkdown(result: Result, subjects: readonly Subject[]): string {
  const machine = Object.entries(result.machine).map(([name, value]) => `| ${name} | ${value} |`);
  const header = ["case", "unit", ...subjects, "bucatini / direct", "bucatini / pasta", "wanted", ""];
  const rows = result.rows.map((row) => tableRow(row, subjects).join(" | "));
  const failed = result.samples.filter((sample) => sample.error !== undefined);
  return [
    `Made by \`${result.command}\` on ${result.date}.`,
    "",
    "| | |",
    "|---|---|",
    ...machine,
    "",
    `| ${header.join(" | ")} |`,
    `|${header.map((_, index) => (index < 2 ? "---" : "---:")).join("|")}|`,
    ...rows.map((row) => `| ${row} |`),
    "",
    ...result.notes.map((note) => `- ${note}`),
    ...failed.map(
      ({ case: name, subject, round, error }) => `- no sample ${name} ${subject} #${round}: ${error}`,
    ),
    "",
  ].join("\n");
}

function tableRow(row: Result["rows"][number], subjects: readonly Subject[]): string[] {
  const { medians, want } = row;
  const ratio = (to: Subject): number | undefined => divide(medians.bucatini, medians[to]);
  const wanted: string[] = [];
  const met: (boolean | undefined)[] = [];
  const expect = (text: string, value: number | undefined, holds: (value: number) => boolean): void => {
    wanted.push(text);
    met.push(value === undefined ? undefined : holds(value));
  };
  for (const other of ["direct", "pasta"] as const) {
    const least = want?.[other];
    if (least !== undefined) expect(`>= ${least} x ${other}`, ratio(other), (value) => value >= least);
  }
  const most = want?.atMost;
  if (most !== undefined) expect(`<= ${most} ${row.unit}`, medians.bucatini, (value) => value <= most);
  const verdict = met.includes(undefined) || met.length === 0 ? "" : met.every(Boolean) ? "yes" : "**no**";
  const numbers = subjects.map((subject) => show(medians[subject]));
  return [
    row.name,
    row.unit,
    ...numbers,
    show(ratio("direct")),
    show(ratio("pasta")),
    wanted.join(", "),
    verdict,
  ];
}

/** Three significant digits, thousands as a whole number. */
export function show(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return "";
  return Math.abs(value) >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function divide(value: number | undefined, by: number | undefined): number | undefined {
  return value === undefined || by === undefined || by === 0 ? undefined : value / by;
}

function mean(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : (a + b) / 2;
}
