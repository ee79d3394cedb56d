/** Errors by name. */
import { constants } from "node:os";

/** The positive number of an error such as "ECONNRESET". */
export function errnoOf(name: string): number {
  const errno = Object.entries(constants.errno).find(([key]) => key === name)?.[1];
  if (errno === undefined) throw new Error(`there is no error "${name}"`);
  return errno;
}

/** The result of a call: a number, or the name of an error, which is its negative number. */
export function resultOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) ? Number(text) : -errnoOf(text);
}
