/** The drop-in for pasta at work: a namespace that exists is attached to, a command is run in new ones. */
import { hostname as hostName } from "node:os";
import { resolve } from "node:path";
import { AppError } from "../base/errors.ts";
import type { NetworkOptions, ProcessOptions } from "../config/options.ts";
import { givenResolvers } from "../config/resolv-conf.ts";
import type { ReadWords } from "../pasta/getopt.ts";
import { pastaRequest, type PastaRequest } from "../pasta/request.ts";
import { parseIdentity } from "../runtime/accounts.ts";
import type { Cleanup } from "../runtime/cleanup.ts";
import { waitForEnd } from "../runtime/control-client.ts";
import { ephemeralPorts } from "../runtime/ephemeral-ports.ts";
import type { Launched } from "../runtime/launch.ts";
import { PidFile } from "../runtime/pid-file.ts";
import { hasSysAdmin } from "../runtime/process-info.ts";
import { connect } from "./connect.ts";
import { keepOneStateRoot } from "./one-state-root.ts";
import { commandOrShell, hostName as checkHostName, type AttachRequest } from "./options.ts";
import { tell } from "./output.ts";
import { run } from "./run.ts";

/** sethostname(2) */
const HOSTNAME_MAX = 64;

/** Gives the exit status. Throws AppError, and then leaves nothing behind. */
export async function start(words: ReadWords): Promise<number> {
  keepOneStateRoot(process.env);
  const request = pastaRequest(words, ephemeralPorts());
  request.warnings.forEach(tell);
  const { target } = request;
  return "command" in target ? runCommand(request, target.command) : attach(request, target);
}

function attach(request: PastaRequest, target: AttachRequest["target"]): Promise<number> {
  const { network, userNamespace, netnsOnly, foreground, staysBehind, pidFile: path } = request;
  if (netnsOnly && !hasSysAdmin()) {
    const why = "--netns-only forbids to join the user namespace that gives the privilege";
    throw new AppError("TARGET_FORBIDDEN", `may not enter the network namespace: ${why}; leave it out`);
  }
  const asked = {
    network,
    process: processOptions(request),
    target,
    ...(userNamespace !== undefined && { userNamespace }),
    foreground,
    staysBehind,
    // Callers end what stays in the foreground in this way.
    signalStatus: 0,
  };
  let pidFile: PidFile | undefined;
  // Not before: from here on, a signal that ends us takes back what was made.
  const complete = async (cleanup: Cleanup): Promise<NetworkOptions> => {
    pidFile = path === undefined ? undefined : PidFile.open(path);
    cleanup.add("remove the PID file", () => pidFile?.discard());
    return network;
  };
  const ready = async (directory: string, { state }: Launched): Promise<number> => {
    pidFile?.write(foreground ? process.pid : state.pid);
    if (foreground) await waitForEnd({ directory, state }, Number.POSITIVE_INFINITY);
    return 0;
  };
  return connect(asked, givenResolvers(network), ready, complete);
}

function runCommand(request: PastaRequest, command: readonly string[]): Promise<number> {
  const { network, netnsOnly, newPidNamespace, hostname, pidFile } = request;
  const asked = {
    network,
    process: processOptions(request),
    command: commandOrShell(command, "-l"),
    hostname: hostname === undefined ? defaultHostName() : checkHostName(hostname),
    ownResolvConf: false,
    namespaces: { user: !netnsOnly, pid: newPidNamespace },
  };
  return run(asked, () => {
    if (pidFile !== undefined) PidFile.open(pidFile).write(process.pid);
  });
}

const defaultHostName = (): string =>
  `pasta-${hostName()}`.slice(0, HOSTNAME_MAX).replace(/[^A-Za-z0-9]+$/, "");

/** The engine works in another directory. */
function processOptions({
  process: { logFile, captureFile, ...others },
  runAs,
}: PastaRequest): ProcessOptions {
  return {
    ...others,
    ...(runAs !== undefined && { runAs: parseIdentity(runAs) }),
    ...(logFile !== undefined && { logFile: resolve(logFile) }),
    ...(captureFile !== undefined && { captureFile: resolve(captureFile) }),
  };
}
