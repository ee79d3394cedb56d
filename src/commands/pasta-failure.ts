/** What the drop-in for pasta prints when something fails. */
import { AppError } from "../base/errors.ts";
import { UsageError } from "../config/command-line.ts";
import { failureLines } from "../pasta/failure.ts";

/** One sentence for each line. */
export function describeFailure(error: unknown): string[] {
  if (error instanceof UsageError) return [`${error.what} (see "pasta --help")`];
  if (error instanceof AppError) return failureLines(error);
  return [`internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`];
}
