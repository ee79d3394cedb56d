/** The IPAM plugin of a network: started for the same verbs, with the same environment and configuration. */
import { parseJson } from "../base/json.ts";
import type { CniRequest } from "../cni/dispatch.ts";
import { requireVariables } from "../cni/environment.ts";
import { CniCode, CniError } from "../cni/errors.ts";
import { parseResult } from "../cni/parse-result.ts";
import type { CniResult } from "../cni/result.ts";
import { ConfigError } from "../config/config-error.ts";
import type { Cleanup } from "../runtime/cleanup.ts";
import { startPlugin } from "../runtime/run-plugin.ts";
import { executableIn } from "../runtime/tools.ts";
import { tell } from "./output.ts";

/** The part of a request that an IPAM plugin gets. */
type Delegated = Pick<CniRequest, "environment" | "input" | "version">;

/** The path of a plugin in the directories of CNI_PATH; undefined when none of them has it. */
export const findPlugin = ({ environment }: Delegated, type: string): string | undefined =>
  executableIn((environment["CNI_PATH"] ?? "").split(":"), type);

/** Throws CniError. */
function requirePlugin(request: Delegated, type: string): string {
  requireVariables(request.environment, ["CNI_PATH"]);
  const path = findPlugin(request, type);
  if (path !== undefined) return path;
  throw new CniError(
    CniCode.InvalidConfiguration,
    "invalid network configuration",
    `/ipam/type is ${type}: there is no such plugin in ${request.environment["CNI_PATH"]} (CNI_PATH); install it there`,
  );
}

/** Asks for addresses; the clean-up gives them back, even if only part of it was done. Throws CniError or AppError. */
export async function ipamAdd(request: Delegated, type: string, cleanup: Cleanup): Promise<CniResult> {
  const path = requirePlugin(request, type);
  cleanup.add(`give the addresses back to ${type}`, () =>
    // A plugin that fails now has mostly failed before, and that is what the runtime is to be told.
    run(request, type, path, "DEL").catch((error: unknown) => {
      tell(`cannot give the addresses back: ${error instanceof Error ? error.message : String(error)}`);
    }),
  );
  const plugin = startPlugin(path, "ADD", request.input);
  cleanup.add(`stop ${type}`, () => plugin.stop());
  const text = succeeded(type, "ADD", await plugin.ended);
  try {
    return parseResult({ pointer: "", value: JSON.parse(text) }, request.version);
  } catch (cause) {
    if (!(cause instanceof ConfigError || cause instanceof SyntaxError)) throw cause;
    const what = `cannot decode the result of the IPAM plugin ${type}`;
    throw new CniError(CniCode.Decoding, what, cause.message);
  }
}

/** For the verbs that give no result. Throws CniError or AppError. */
export async function ipamCall(request: Delegated, type: string, command: string): Promise<void> {
  await run(request, type, requirePlugin(request, type), command);
}

async function run({ input }: Delegated, type: string, path: string, command: string): Promise<string> {
  return succeeded(type, command, await startPlugin(path, command, input).ended);
}

/** What a plugin has printed. Throws the error that it reports instead, under its own code. */
function succeeded(
  type: string,
  command: string,
  { status, stdout }: { status: number | null; stdout: string },
): string {
  if (status === 0) return stdout;
  const what = `the IPAM plugin ${type} failed (${command})`;
  const { code, msg, details } = reported(stdout);
  if (typeof code === "number" && typeof msg === "string") {
    throw new CniError(code, `${what}: ${msg}`, typeof details === "string" ? details : "");
  }
  const how = status === null ? "it was ended by a signal" : `it ended with status ${status}`;
  throw new CniError(CniCode.InputOutput, what, `${how} and said: ${stdout.trim()}`);
}

/** The error that a plugin has printed; an empty object for anything else. */
function reported(stdout: string): { code?: unknown; msg?: unknown; details?: unknown } {
  const value = parseJson(stdout);
  return typeof value === "object" && value !== null ? value : {};
}
