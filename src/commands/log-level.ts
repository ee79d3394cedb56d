/** `bucatini log-level`: how much an engine logs from now on. */
import type { LogLevelRequest } from "../config/control-types.ts";
import { type ParsedArguments, usage } from "../config/command-line.ts";
import { logLevel as parseLevel } from "../config/from-cli.ts";
import { requestEngine } from "../runtime/control-client.ts";
import { findEngine, onlyEngine } from "./find-engine.ts";

export async function logLevel({ rest }: ParsedArguments): Promise<number> {
  const level = rest.at(-1);
  if (level === undefined || rest.length > 2) throw usage("log-level takes an identifier and a level");
  const params: LogLevelRequest = { level: parseLevel(level, "log-level") };
  const engine = rest.length === 1 ? onlyEngine() : findEngine(rest[0]);
  await requestEngine(engine, "setLogLevel", params);
  return 0;
}
