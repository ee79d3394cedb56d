/** What commands print: results to stdout, one sentence about everything else to stderr. */
import { writeSync } from "node:fs";
import { AppError, errorCode, EXIT_CODES } from "../base/errors.ts";

const STDOUT = 1;
const STDERR = 2;
/** Who speaks. */
let program = "bucatini";

/** Prints a result. A reader that has gone away is no error of ours. */
export const print = (text: string): void => writeLine(STDOUT, text);

/** Has messages begin with another name from now on. */
export function speakAs(name: string): void {
  program = name;
}

/** Prints a message to the person in front of the terminal. */
export const tell = (text: string): void => writeLine(STDERR, `${program}: ${text}`);

/** Tells what went wrong. Gives the exit status. */
export function report(error: unknown): number {
  if (error instanceof AppError) {
    tell(error.message);
    return error.exitCode;
  }
  tell(`internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return EXIT_CODES.INTERNAL;
}

function writeLine(fd: number, text: string): void {
  // Some of it comes from containers, which are to change nothing on a terminal.
  const bytes = Buffer.from(`${text.replaceAll(/[^\P{Cc}\t\n]/gu, "?")}\n`);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      // Somebody else made the terminal non-blocking.
      if (errorCode(error) === "EAGAIN") continue;
      if (errorCode(error) === "EPIPE") return;
      throw error;
    }
  }
}

/** Rows of words as aligned columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((word, column) => (widths[column] = Math.max(widths[column] ?? 0, word.length)));
  }
  return rows
    .map((row) =>
      row
        .map((word, column) => word.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
