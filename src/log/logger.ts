/** The log: one JSON object on each line, written at once. The only file that imports pino. */
import { pino } from "pino";
import type { LogLevel } from "./level.ts";
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

/** A log whose level can change. */
export interface AdjustableLog extends Log {
  setLevel(level: LogLevel): void;
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
export function createLogger(options: LogOptions): AdjustableLog {
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
  const isOn = (level: LogLevel): boolean => logger.isLevelEnabled(level);
  const log = {
    traceOn: isOn("trace"),
    debugOn: isOn("debug"),
    error: writer("error"),
    warn: writer("warn"),
    info: writer("info"),
    debug: writer("debug"),
    trace: writer("trace"),
    setLevel(level: LogLevel): void {
      logger.level = level;
      log.traceOn = isOn("trace");
      log.debugOn = isOn("debug");
    },
  };
  return log;
}
