/** The log: one JSON object on each line, written at once. The only file that imports pino. */
import { pino } from "pino";
import { LOG_LEVELS, type LogLevel } from "./level.ts";
import { LogSink } from "./sink.ts";

/** What a message is about, as JSON values. An Error belongs under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;
type Write = (msg: string, fields?: LogFields) => void;

/** Never throws. Where messages are frequent, ask `traceOn` or `debugOn` before putting them together. */
export interface Log {
  readonly traceOn: boolean;
  readonly debugOn: boolean;
  readonly error: Write;
  readonly warn: Write;
  readonly info: Write;
  readonly debug: Write;
  readonly trace: Write;
}

export interface LogOptions {
  /** The least serious level that is written. */
  readonly level: LogLevel;
  /** An open descriptor, or the path of a file to append to. */
  readonly destination: number | string;
  /** Bytes that the file may have, see LogSink; absent: no limit. */
  readonly limit?: number | undefined;
}

/**
 * Each line has `level`, `time` (RFC 3339, UTC), the fields and `msg`; also `dropped` with a count when lines
 * before it were lost. Throws only when the file cannot be opened.
 */
export function createLogger(options: LogOptions): Log {
  const sink = new LogSink(options.destination, options.limit);
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
      mixin: () => (sink.dropped === 0 ? {} : { dropped: sink.dropped }),
    },
    sink,
  );
  const writer =
    (level: LogLevel): Write =>
    (msg, fields) =>
      logger[level](fields ?? {}, msg);
  return {
    traceOn: LOG_LEVELS[options.level] <= LOG_LEVELS.trace,
    debugOn: LOG_LEVELS[options.level] <= LOG_LEVELS.debug,
    error: writer("error"),
    warn: writer("warn"),
    info: writer("info"),
    debug: writer("debug"),
    trace: writer("trace"),
  };
}
