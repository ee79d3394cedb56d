/**
 * Errors as the runtime gets them: one JSON object on stdout.
 * @see CNI specification, section "Error"
 */
import { AppError, EXIT_CODES, type ErrorCode } from "../base/errors.ts";
import { ConfigError } from "../config/config-error.ts";
import { NEWEST_VERSION } from "./versions.ts";

/** Codes of the specification, which keeps 0 to 99 for itself. */
export const CniCode = {
  IncompatibleVersion: 1,
  UnsupportedField: 2,
  UnknownContainer: 3,
  InvalidEnvironment: 4,
  InputOutput: 5,
  Decoding: 6,
  InvalidConfiguration: 7,
  TryAgainLater: 11,
  /** STATUS: ADD cannot be served. */
  NotAvailable: 50,
} as const;

/** Our own codes: this and the exit code that the command line gives to the same cause. */
const OWN_CODES = 100;

/** Causes that have a code of the specification. */
const CODES: Partial<Record<ErrorCode, number>> = {
  USAGE: CniCode.InvalidEnvironment,
  TARGET_GONE: CniCode.UnknownContainer,
  NO_ADDRESS: CniCode.InvalidConfiguration,
  STATE_DIR: CniCode.InputOutput,
  LOG_FILE: CniCode.InputOutput,
  ENGINE_FAILED: CniCode.TryAgainLater,
};

/** A failure with its code; `details` is the long form of the message. */
export class CniError extends Error {
  readonly code: number;
  readonly details: string;
  constructor(code: number, message: string, details = "") {
    super(message);
    this.name = "CniError";
    this.code = code;
    this.details = details;
  }
}

/** What is printed for any error. */
export interface ErrorDocument {
  cniVersion: string;
  code: number;
  msg: string;
  details?: string;
}

/** @param version that of the network configuration, if it is known and ours */
export function errorDocument(error: unknown, version: string = NEWEST_VERSION): ErrorDocument {
  const { code, message, details } = cniError(error);
  return { cniVersion: version, code, msg: message, ...(details !== "" && { details }) };
}

/** Tells whether an error is one that somebody can act on by its message; all others need a stack. */
export const isExpected = (error: unknown): boolean =>
  error instanceof CniError || error instanceof ConfigError || error instanceof AppError;

function cniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof ConfigError) {
    return error.isUnsupported
      ? new CniError(CniCode.UnsupportedField, "unsupported field", error.message)
      : new CniError(CniCode.InvalidConfiguration, "invalid network configuration", error.message);
  }
  if (error instanceof AppError) {
    return new CniError(CODES[error.code] ?? OWN_CODES + error.exitCode, error.message);
  }
  const message = error instanceof Error ? error.message : String(error);
  return new CniError(OWN_CODES + EXIT_CODES.INTERNAL, `internal error: ${message}`);
}
