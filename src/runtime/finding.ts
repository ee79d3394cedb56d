/** What a look at this machine gives. */

/** "unused": it could be set up and is not; "problem": containers cannot be connected. */
type Level = "ok" | "unused" | "warning" | "problem";

export interface Finding {
  /** What was looked at, in a few words; the same in every run. */
  check: string;
  level: Level;
  /** What was found, and, unless all is well, what to do. */
  text: string;
}

export const finding = (check: string, level: Level, text: string): Finding => ({ check, level, text });
