/** Options of `run` and `attach` that say how the engine runs as a process. */
import { resolve } from "node:path";
import { type OptionSpec, type ParsedArguments, usage } from "../config/command-line.ts";
import { LOG_LIMIT_MIN, type ProcessOptions } from "../config/options.ts";
import { readValue } from "../config/from-cli.ts";
import { byteCount, ValueError } from "../config/values.ts";
import { parseIdentity } from "../runtime/accounts.ts";

export const PROCESS_OPTIONS: readonly OptionSpec[] = [
  { name: "runas", value: "USER[:GROUP]", help: "who the engine is to be, by name or number; needs root" },
  { name: "log-file", value: "PATH", help: "log there instead of in the state directory" },
  { name: "log-limit", value: "BYTES", help: "size of the log, at most; older lines go first" },
  { name: "capture", value: "FILE", help: "write all packets there, for tcpdump -r" },
];

/** For an engine that stays with its caller. */
export const STATS_OPTION: OptionSpec = {
  name: "stats",
  value: "SECONDS",
  help: "print counters that often, with --foreground",
};

const SECONDS_MAX = 86_400;

/** Throws USAGE. */
export function processOptions({ values }: ParsedArguments): ProcessOptions {
  const last = (name: string): string | undefined => values.get(name)?.at(-1);
  const logFile = last("log-file");
  const limit = last("log-limit");
  const captureFile = last("capture");
  const seconds = last("stats");
  const runAs = last("runas");
  return {
    ...(runAs !== undefined && { runAs: parseIdentity(runAs) }),
    // The engine works in another directory.
    ...(logFile !== undefined && { logFile: resolve(logFile) }),
    ...(limit !== undefined && { logLimit: readValue("log-limit", limit, logLimit) }),
    ...(captureFile !== undefined && { captureFile: resolve(captureFile) }),
    ...(seconds !== undefined && { statsSeconds: statsSeconds(seconds, values.has("foreground")) }),
  };
}

function logLimit(text: string): number {
  const limit = byteCount(text);
  if (limit >= LOG_LIMIT_MIN) return limit;
  throw new ValueError(`a log needs ${LOG_LIMIT_MIN} bytes at least`);
}

function statsSeconds(text: string, foreground: boolean): number {
  if (!foreground) throw usage("--stats prints to the terminal, which takes --foreground");
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (seconds >= 1 && seconds <= SECONDS_MAX) return seconds;
  throw usage(`--stats ${text}: not a number of seconds from 1 to ${SECONDS_MAX}`);
}
