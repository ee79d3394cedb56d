/** The options of every command, and what `run` and `attach` are asked to do. Changes nothing of the system. */
import { basename } from "node:path";
import { type OptionSpec, type ParsedArguments, usage } from "../config/command-line.ts";
import { isEngineId } from "../config/engine-id.ts";
import { NETWORK_OPTIONS, networkOptions } from "../config/from-cli.ts";
import { PORT_ACTIONS, type PortAction } from "../config/control-types.ts";
import type { HandedInSocket, NetworkOptions, PortRuleOptions, ProcessOptions } from "../config/options.ts";
import { PORT_RULE_OPTIONS, portRules } from "../config/port-options.ts";
import type { NewNamespaces } from "../runtime/container.ts";
import { ephemeralPorts } from "../runtime/ephemeral-ports.ts";
import type { EngineAttachment } from "../runtime/state-directory.ts";
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

/** What a container runtime says in other ways, or what is for people only. */
const FOR_PEOPLE = ["name", "netns", "userns", "foreground", "stats"];

/** Those that a container's annotations may have. */
export const HOOK_OPTIONS: readonly OptionSpec[] = [
  ...ATTACH_OPTIONS.filter(({ name }) => !FOR_PEOPLE.includes(name)),
  { name: "resolv-conf", help: "write /etc/resolv.conf into the container's root file system" },
];

/** Those that a network of netavark may have. Name of the interface and resolv.conf are Podman's business. */
export const NETAVARK_OPTIONS: readonly OptionSpec[] = HOOK_OPTIONS.filter(
  ({ name }) => name !== "ifname" && name !== "resolv-conf",
);

export const REPORT_OPTIONS: readonly OptionSpec[] = [{ name: "json", help: "as JSON" }];

export const PORTS_OPTIONS: readonly OptionSpec[] = [...REPORT_OPTIONS, ...PORT_RULE_OPTIONS];

export const INSTALL_HOOK_OPTIONS: readonly OptionSpec[] = [
  { name: "cdi", help: "a CDI specification, for --device, instead of a description for hooks.d" },
  { name: "dir", value: "DIR", help: "where to, instead of the directory that is read by default" },
  {
    name: "annotation",
    value: "KEY=VALUE",
    help: "for containers with this annotation, not org.bucatini=true",
  },
  { name: "always", help: "for all containers but those with the annotation org.bucatini=false" },
  { name: "print", help: "print what would be written, and write nothing" },
  { name: "uninstall", help: "remove what was written" },
];

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
  /** The resolvers inside are the addresses that forward DNS; else the host's resolv.conf stays. */
  ownResolvConf: boolean;
  namespaces: NewNamespaces;
}

export interface AttachRequest extends StartRequest {
  /** A process id, or the name or path of a network namespace. */
  target: { pid: number } | { netns: string };
  userNamespace?: string;
  /**
   * The engine belongs on the host's network, wherever we are (runtime/broker-client.ts); `ports`: whether ports are
   * forwarded there too, or by the caller. Absent: it runs where we are.
   */
  outside?: { ports: boolean };
  /** Sockets for the engine beside those that we were started with. */
  listeners?: readonly HandedInSocket[];
  /** What the engine is for, where a runtime manages networks. */
  attachment?: EngineAttachment;
  foreground: boolean;
  /** A process whose end ends the engine too. */
  holder?: number;
  /** The engine stays when what it serves goes away. */
  staysBehind?: boolean;
  /** Status of a command in the foreground that a signal ends; absent: 128 + signal. */
  signalStatus?: number;
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
  return {
    ...startRequest(parsed),
    command: commandOrShell(parsed.rest),
    hostname: hostName(parsed.values.get("hostname")?.at(-1) ?? DEFAULT_HOSTNAME),
    ownResolvConf: true,
    namespaces: { user: true, pid: true },
  };
}

/** Gives back a host name. Throws USAGE. */
export function hostName(text: string): string {
  if (HOSTNAME.test(text)) return text;
  throw usage(`--hostname ${text}: a host name has letters, digits, dashes and dots, 64 at most`);
}

/**
 * Without a command it is the user's shell. Plain POSIX shells (dash) give up on job control in a PID namespace whose
 * terminal has its foreground outside, and with that on everything; without job control they work.
 */
export function commandOrShell(
  command: readonly string[],
  ...shellOptions: readonly string[]
): readonly string[] {
  if (command.length > 0) return command;
  const shell = process.env["SHELL"] || "/bin/sh";
  return [shell, ...shellOptions, ...(["sh", "dash"].includes(basename(shell)) ? ["+m"] : [])];
}

/** Throws USAGE. */
export function attachRequest(parsed: ParsedArguments): AttachRequest {
  const { values, rest } = parsed;
  const netns = values.get("netns")?.at(-1);
  const userNamespace = values.get("userns")?.at(-1);
  if ((netns === undefined) === (rest.length === 0) || rest.length > 1) {
    throw usage("attach needs one process id, or --netns instead");
  }
  return {
    ...startRequest(parsed),
    target: netns === undefined ? { pid: processId(rest[0]) } : { netns },
    ...(userNamespace !== undefined && { userNamespace }),
    foreground: values.has("foreground"),
  };
}

/** What a container runtime asks for. Throws USAGE. */
export const runtimeRequest = (
  parsed: ParsedArguments,
  name: string,
  target: AttachRequest["target"],
): AttachRequest => ({ ...startRequest(parsed), name, target, foreground: false });

/** Throws USAGE. */
export function portsRequest(parsed: ParsedArguments): PortsRequest {
  const [word, ...others] = parsed.rest;
  const action = PORT_ACTIONS.find((each) => each === word);
  const [engine, ...tooMany] = action === undefined ? parsed.rest : others;
  const rules = portRules(parsed, ephemeralPorts());
  if (tooMany.length > 0) {
    const words = [engine, ...tooMany].join(" ");
    throw usage(
      `ports takes one identifier, behind add, del or set, and ports behind -p, -t and such, not ${words}`,
    );
  }
  const json = parsed.values.has("json");
  if (action === undefined) {
    if (rules.length > 0) throw usage("ports only shows what there is, unless it is told to add, del or set");
    return { ...(engine !== undefined && { engine }), json };
  }
  if (engine === undefined) throw usage(`ports ${action} needs an identifier`);
  if (rules.length === 0 && action !== "set")
    throw usage(`ports ${action} needs ports: -p, -t, -u, -T or -U`);
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
