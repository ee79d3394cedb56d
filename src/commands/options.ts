/** The options of every command, and what `run` and `attach` are asked to do. Changes nothing of the system. */
import { basename } from "node:path";
import { type OptionSpec, type ParsedArguments, usage } from "../config/command-line.ts";
import { isEngineId } from "../config/engine-id.ts";
import { NETWORK_OPTIONS, networkOptions } from "../config/from-cli.ts";
import { PORT_ACTIONS, type PortAction } from "../config/control-types.ts";
import type { NetworkOptions, PortRuleOptions, ProcessOptions } from "../config/options.ts";
import { PORT_RULE_OPTIONS, portRules } from "../config/port-options.ts";
import { ephemeralPorts } from "../runtime/ephemeral-ports.ts";
import { PROCESS_OPTIONS, processOptions, STATS_OPTION } from "./process-options.ts";

const START_OPTIONS: readonly OptionSpec[] = [
  { name: "name", value: "ID", help: "identifier of the engine" },
  ...PROCESS_OPTIONS,
];

export const RUN_OPTIONS: readonly OptionSpec[] = [
  { name: "hostname", value: "NAME", help: "host name inside" },
  ...START_OPTIONS,
  ...NETWORK_OPTIONS,
];

export const ATTACH_OPTIONS: readonly OptionSpec[] = [
  { name: "netns", value: "PATH|NAME", help: "the namespace, instead of that of a process" },
  { name: "userns", value: "PATH", help: "user namespace to join, instead of the owner of the namespace" },
  { name: "foreground", short: "f", help: "stay until the namespace goes away; log to stderr" },
  STATS_OPTION,
  ...START_OPTIONS,
  ...NETWORK_OPTIONS,
];

/** Those that a container's annotations may have. */
export const HOOK_OPTIONS: readonly OptionSpec[] = [...PROCESS_OPTIONS, ...NETWORK_OPTIONS];

export const REPORT_OPTIONS: readonly OptionSpec[] = [{ name: "json", help: "as JSON" }];

export const PORTS_OPTIONS: readonly OptionSpec[] = [...REPORT_OPTIONS, ...PORT_RULE_OPTIONS];

export const TOUR_OPTIONS: readonly OptionSpec[] = NETWORK_OPTIONS.filter(({ name }) => name === "log-level");

interface StartRequest {
  network: NetworkOptions;
  /** --name */
  name?: string;
  process: ProcessOptions;
}

export interface RunRequest extends StartRequest {
  command: readonly string[];
  hostname: string;
}

export interface AttachRequest extends StartRequest {
  /** A process id, or the name or path of a network namespace. */
  target: { pid: number } | { netns: string };
  userNamespace?: string;
  foreground: boolean;
}

export interface PortsRequest {
  /** The engine, by any of its names; absent: the only one. */
  engine?: string;
  /** Absent: only show. */
  change?: { action: PortAction; rules: PortRuleOptions[] };
  json: boolean;
}

const DEFAULT_HOSTNAME = "bucatini";
/** What sethostname(2) takes and other programs expect: labels of RFC 1123, 64 bytes in all. */
const HOSTNAME =
  /^(?=.{1,64}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

/** Throws USAGE. */
export function runRequest(parsed: ParsedArguments): RunRequest {
  const hostname = parsed.values.get("hostname")?.at(-1) ?? DEFAULT_HOSTNAME;
  if (!HOSTNAME.test(hostname)) {
    throw usage(`--hostname ${hostname}: a host name has letters, digits, dashes and dots, 64 at most`);
  }
  return {
    ...startRequest(parsed),
    command: parsed.rest.length > 0 ? parsed.rest : shellCommand(process.env["SHELL"] || "/bin/sh"),
    hostname,
  };
}

/**
 * Plain POSIX shells (dash) give up on job control in a PID namespace whose terminal has its foreground outside, and
 * with that on everything; without job control they work.
 */
const shellCommand = (shell: string): string[] =>
  ["sh", "dash"].includes(basename(shell)) ? [shell, "+m"] : [shell];

/** Throws USAGE. */
export function attachRequest(parsed: ParsedArguments): AttachRequest {
  const { values, rest } = parsed;
  const netns = values.get("netns")?.at(-1);
  const userNamespace = values.get("userns")?.at(-1);
  if ((netns === undefined) === (rest.length === 0) || rest.length > 1) {
    throw usage("attach needs either a process id or --netns");
  }
  return {
    ...startRequest(parsed),
    target: netns === undefined ? { pid: processId(rest[0]) } : { netns },
    ...(userNamespace !== undefined && { userNamespace }),
    foreground: values.has("foreground"),
  };
}

/** What a hook is asked for process `pid`. Throws USAGE. */
export const hookRequest = (parsed: ParsedArguments, name: string, pid: number): AttachRequest => ({
  ...startRequest(parsed),
  name,
  target: { pid },
  foreground: false,
});

/** Throws USAGE. */
export function portsRequest(parsed: ParsedArguments): PortsRequest {
  const [word, ...others] = parsed.rest;
  const action = PORT_ACTIONS.find((each) => each === word);
  const [engine, ...tooMany] = action === undefined ? parsed.rest : others;
  const rules = portRules(parsed, ephemeralPorts());
  if (tooMany.length > 0) throw usage(`ports takes one identifier, not ${[engine, ...tooMany].join(" ")}`);
  const json = parsed.values.has("json");
  if (action === undefined) {
    if (rules.length > 0) throw usage("ports only shows what there is, unless it is told to add, del or set");
    return { ...(engine !== undefined && { engine }), json };
  }
  if (engine === undefined) throw usage(`ports ${action} needs an identifier`);
  if (rules.length === 0 && action !== "set") throw usage(`ports ${action} needs ports: -t, -u, -T or -U`);
  return { engine, change: { action, rules }, json };
}

function processId(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw usage(`${text} is no process id; a namespace with a name or path is attached with --netns ${text}`);
}

function startRequest(parsed: ParsedArguments): StartRequest {
  const name = parsed.values.get("name")?.at(-1);
  if (name !== undefined && !isEngineId(name)) {
    throw usage(`--name ${name}: a name has 1 to 64 letters, digits, dots, dashes and underscores`);
  }
  return {
    network: networkOptions(parsed, ephemeralPorts()),
    ...(name !== undefined && { name }),
    process: processOptions(parsed),
  };
}
