/**
 * The commands by name. What a command does is loaded only after its arguments have been understood, so that
 * help, version and a mistyped option do not wait for the native module.
 */
import { type OptionSpec, type ParsedArguments, takeNoArguments } from "../config/command-line.ts";
import { VERSION } from "../config/generated/version.ts";
import { LOG_LEVELS } from "../config/options.ts";
import {
  ATTACH_OPTIONS,
  attachRequest,
  INSTALL_HOOK_OPTIONS,
  PORTS_OPTIONS,
  portsRequest,
  REPORT_OPTIONS,
  RUN_OPTIONS,
  runRequest,
  TOUR_OPTIONS,
} from "./options.ts";
import { print } from "./output.ts";

export interface Command {
  readonly name: string;
  /** What follows the name. */
  readonly synopsis: string;
  readonly help: string;
  readonly options: readonly OptionSpec[];
  /** Gives the exit status. Throws AppError. */
  start(parsed: ParsedArguments): Promise<number>;
}

export const COMMANDS: readonly Command[] = [
  {
    name: "run",
    synopsis: "[OPTION...] [--] [COMMAND [ARG...]]",
    help: "run a command, or $SHELL, in a new connected namespace; exits with its status, or 128 + signal",
    options: RUN_OPTIONS,
    async start(parsed) {
      const request = runRequest(parsed);
      const { run } = await import("./run.ts");
      return run(request);
    },
  },
  {
    name: "attach",
    synopsis: "[OPTION...] PID | --netns PATH|NAME",
    help: "connect the network namespace of a process, or a named one; prints the engine's identifier",
    options: ATTACH_OPTIONS,
    async start(parsed) {
      const request = attachRequest(parsed);
      const { attach } = await import("./attach.ts");
      return attach(request);
    },
  },
  {
    name: "detach",
    synopsis: "ID|PID|NAME",
    help: "end an engine",
    options: [],
    start: async (parsed) => (await import("./detach.ts")).detach(parsed),
  },
  {
    name: "list",
    synopsis: "[--json]",
    help: "the running engines",
    options: REPORT_OPTIONS,
    start: async (parsed) => (await import("./list.ts")).list(parsed),
  },
  {
    name: "status",
    synopsis: "[--json] [ID|PID|NAME]",
    help: "what an engine says of itself, counters included",
    options: REPORT_OPTIONS,
    start: async (parsed) => (await import("./status.ts")).status(parsed),
  },
  {
    name: "ports",
    synopsis: "[--json] [ID|PID|NAME] | add|del|set ID|PID|NAME [-t SPEC] [-u SPEC] [-T SPEC] [-U SPEC]",
    help: "show the ports that are forwarded, or change them while the engine runs",
    options: PORTS_OPTIONS,
    async start(parsed) {
      const request = portsRequest(parsed);
      const { ports } = await import("./ports.ts");
      return ports(request);
    },
  },
  {
    name: "log-level",
    synopsis: "[ID|PID|NAME] LEVEL",
    help: `how much an engine logs from now on: ${LOG_LEVELS.join(", ")}`,
    options: [],
    start: async (parsed) => (await import("./log-level.ts")).logLevel(parsed),
  },
  {
    name: "install-hook",
    synopsis: "[OPTION...]",
    help: "tell container engines of the OCI hook: with hooks.d, or as a CDI device",
    options: INSTALL_HOOK_OPTIONS,
    start: async (parsed) => (await import("./install-hook.ts")).installHook(parsed),
  },
  {
    name: "broker",
    synopsis: "",
    help: "start engines outside for plugins of this user that are called in an inner network namespace",
    options: [],
    start: async (parsed) => (await import("./broker.ts")).broker(parsed),
  },
  {
    name: "doctor",
    synopsis: "[--json]",
    help: "whether this machine can connect containers, and what to do where it cannot",
    options: REPORT_OPTIONS,
    start: async (parsed) => (await import("./doctor.ts")).doctor(parsed),
  },
  {
    name: "tour",
    synopsis: "",
    help: "prove on this machine that containers are connected, and show how",
    options: TOUR_OPTIONS,
    start: async (parsed) => (await import("./tour.ts")).tour(parsed),
  },
  {
    name: "help",
    synopsis: "[COMMAND]",
    help: "this text",
    options: [],
    start: async ({ rest }) => (await import("./help.ts")).help(rest[0], COMMANDS),
  },
  {
    name: "version",
    synopsis: "",
    help: "the version",
    options: [],
    start: async ({ rest }) => {
      takeNoArguments("version", rest);
      print(`bucatini ${VERSION}`);
      return 0;
    },
  },
];
