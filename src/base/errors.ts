/** The one error type of bucatini and the exit code that each cause gives. */

/** Causes a caller can tell apart, with the exit code of the command line. Listed in README.md. */
export const EXIT_CODES = {
  INTERNAL: 1,
  USAGE: 2,
  TARGET_GONE: 3,
  TARGET_FORBIDDEN: 4,
  NO_TUN: 5,
  NO_USER_NAMESPACES: 6,
  NO_ADDRESS: 7,
  BUSY: 8,
  NOT_RUNNING: 9,
  STATE_DIR: 10,
  ENGINE_FAILED: 11,
  NO_TOOL: 12,
  LOG_FILE: 13,
  PORT_IN_USE: 14,
  PORT_FORBIDDEN: 15,
  PORT_LIMIT: 16,
  FILE: 17,
  NOT_EXECUTABLE: 126,
  NO_COMMAND: 127,
} as const;
export type ErrorCode = keyof typeof EXIT_CODES;

/** A failure a person can act on. The message says what was tried, why it failed and what to do. */
export class AppError extends Error {
  readonly code: ErrorCode;
  /** What the message is about, as JSON values for programs. */
  readonly details: Readonly<Record<string, unknown>> | undefined;
  constructor(
    code: ErrorCode,
    message: string,
    options?: { cause?: unknown; details?: Readonly<Record<string, unknown>> },
  ) {
    super(message, options);
    this.name = "AppError";
    this.code = code;
    this.details = options?.details;
  }
  get exitCode(): number {
    return EXIT_CODES[this.code];
  }
  /** What crosses process borders; appErrorFrom makes an error of it again. */
  toJSON(): { code: ErrorCode; message: string; details?: Readonly<Record<string, unknown>> } {
    const { code, message, details } = this;
    return { code, message, ...(details !== undefined && { details }) };
  }
}

/** The error that another process has written as JSON; undefined for anything else. */
export function appErrorFrom(value: unknown): AppError | undefined {
  if (!isRecord(value)) return undefined;
  const { code, message, details } = value;
  if (typeof code !== "string" || !isErrorCode(code) || typeof message !== "string") return undefined;
  return new AppError(code, message, isRecord(details) ? { details } : {});
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(EXIT_CODES, code);

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

/** A failed system call: `syscall` and the positive `errno`. */
export class SysError extends Error {
  readonly syscall: string;
  readonly errno: number;
  /** The name of the errno, as in errors of node:fs: "ENOENT". */
  readonly code: string;
  constructor(syscall: string, errno: number, name: string, detail = "") {
    super(`${syscall}${detail === "" ? "" : ` ${detail}`}: ${name}`);
    this.name = "SysError";
    this.syscall = syscall;
    this.errno = errno;
    this.code = name;
  }
}

/** The `code` of an error of node:fs, of a SysError or of an AppError; else its text. */
export function errorCode(error: unknown): string {
  const hasCode = typeof error === "object" && error !== null && "code" in error;
  return hasCode && typeof error.code === "string" ? error.code : String(error);
}
