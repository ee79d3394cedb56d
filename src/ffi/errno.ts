/** Names of errors, and the step from a negative errno to an exception. */
import { constants } from "node:os";
import { SysError } from "../base/errors.ts";

/** Errors that Node does not name. @see linux/errno.h */
const UNNAMED = { EUSERS: 87, EPFNOSUPPORT: 96, ESHUTDOWN: 108, EHOSTDOWN: 112, ENONET: 64, ERFKILL: 132 };

/** Positive error numbers by name. */
const ERRNO: Readonly<Record<string, number>> = { ...UNNAMED, ...constants.errno };
const NAMES: string[] = [];
for (const [name, number] of Object.entries(ERRNO)) NAMES[number] ??= name;

/** The name of an error, whatever its sign: "ENOENT". */
export function errnoName(errno: number): string {
  return NAMES[Math.abs(errno)] ?? `errno ${Math.abs(errno)}`;
}

/** The positive number of an error's name, or undefined. */
export function errnoNumber(name: string): number | undefined {
  return ERRNO[name];
}

/** Gives `result` back, or throws SysError when it is a negative errno. */
export function check(result: number, syscall: string, detail?: string): number {
  if (result < 0) throw new SysError(syscall, -result, errnoName(result), detail);
  return result;
}
