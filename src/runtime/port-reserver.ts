/**
 * nerdctl's port reserver: since September 2025, nerdctl with root holds the IPv4 ports that a container publishes by a
 * program that only sleeps, so that other programs see them taken. Those of our own container are taken over: the
 * engine gets the same sockets, and the reserver may go on sleeping.
 */
import { closeSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { formatIp } from "../base/address.ts";
import { AppError, errorCode } from "../base/errors.ts";
import type { HandedInSocket, NetworkOptions, PortRuleOptions } from "../config/options.ts";
import { netnsOf, ownNamespaceId } from "../kernel/namespace.ts";
import { openProcess, takeDescriptor } from "../kernel/process.ts";
import { boundTo } from "../kernel/socket.ts";
import { PROTOCOLS } from "./port-holder.ts";

/** Where nerdctl keeps what it runs, NAMESPACE/ID/. */
const NERDCTL = "/run/nerdctl";
const PID_FILE = "port-reserver.pid";
/** The command line of the reserver, as proc_pid_cmdline(5) has it. */
const COMMAND = /^(?:\S*\/)?sleep\0infinity\0$/;
const ANY_IPV4 = "0.0.0.0";
const ANY_IPV6 = "::";

/** A socket of the reserver that serves a port of ours. */
interface Reserved extends HandedInSocket {
  protocol: "tcp" | "udp";
  address: string;
  port: number;
}

/** What nerdctl has reserved for a container, and the options that go with it. */
export interface Reservation {
  network: NetworkOptions;
  listeners: HandedInSocket[];
}

/**
 * Takes over the ports that nerdctl has reserved for this container, as far as they are to be forwarded. Nothing is
 * touched but the sockets of the process that nerdctl's own file for this very container names. Throws PORT_IN_USE.
 * @param containerId as CNI has it: NAMESPACE-ID
 */
export function takeReservation(containerId: string, network: NetworkOptions): Reservation {
  const pid = process.geteuid!() === 0 ? reserverOf(containerId) : undefined;
  if (pid === undefined) return { network, listeners: [] };
  const listeners = takeSockets(pid, network.ports.rules);
  const rules = network.ports.rules.flatMap((rule) => splitRule(rule, listeners, network));
  return { network: { ...network, ports: { ...network.ports, rules } }, listeners };
}

/** The reserver of a container: undefined when there is none. */
function reserverOf(containerId: string): number | undefined {
  const [, namespace, id] = /^([\w.-]+)-([0-9a-f]{64})$/.exec(containerId) ?? [];
  if (namespace === undefined || namespace.startsWith(".")) return undefined;
  try {
    const text = readFileSync(join(NERDCTL, namespace, id, PID_FILE), "utf8").trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    // Another caller, or an older nerdctl.
    return undefined;
  }
}

function takeSockets(pid: number, rules: readonly PortRuleOptions[]): Reserved[] {
  // Held by a descriptor, so that all that follows is about one process.
  const process = openReserver(pid);
  if (process === undefined) return [];
  const taken: Reserved[] = [];
  try {
    for (const name of readdirSync(`/proc/${pid}/fd`)) {
      if (!readlinkSync(`/proc/${pid}/fd/${name}`).startsWith("socket:")) continue;
      const fd = takeDescriptor(process, Number(name));
      const socket = inspect(fd);
      const isWanted = socket !== undefined && rules.some((rule) => isFor(rule, socket));
      if (isWanted) taken.push(socket);
      else closeSync(fd);
    }
    return taken;
  } catch (cause) {
    for (const { fd } of taken) closeSync(fd);
    throw new AppError(
      "PORT_IN_USE",
      `cannot take the ports over that nerdctl reserves by process ${pid}: ${errorCode(cause)}; ` +
        "run the runtime with CAP_SYS_PTRACE, and where that process is visible",
      { cause },
    );
  } finally {
    closeSync(process);
  }
}

/** A pidfd of the process, when it is what nerdctl starts; it may have ended, and its number be another's. */
function openReserver(pid: number): number | undefined {
  try {
    const pidfd = openProcess(pid);
    if (COMMAND.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"))) return pidfd;
    closeSync(pidfd);
  } catch {
    // It has ended.
  }
  return undefined;
}

/** Undefined for a socket that is not bound in our network namespace. */
function inspect(fd: number): Reserved | undefined {
  const bound = boundTo(fd);
  if (bound === undefined || netnsOf(fd) !== ownNamespaceId("net")) return undefined;
  const { words, port } = bound;
  const protocol = bound.protocol === PROTOCOLS.tcp ? "tcp" : "udp";
  const address = formatIp(words);
  return { fd, name: `${protocol}-${address}-${port}`, protocol, address, port };
}

function isFor(rule: PortRuleOptions, { protocol, address, port }: Reserved): boolean {
  if (rule.side !== "host" || rule.interface !== undefined || rule.protocol !== protocol) return false;
  return rule.first <= port && port <= rule.last && (rule.address ?? ANY_IPV4) === address;
}

/** Reserved is IPv4 only: a rule for every address becomes one for each family, or the other would get nothing. */
function splitRule(
  rule: PortRuleOptions,
  reserved: readonly Reserved[],
  { ipv4, ipv6 }: NetworkOptions,
): PortRuleOptions[] {
  if (rule.address !== undefined || !ipv4 || !ipv6 || !reserved.some((socket) => isFor(rule, socket))) {
    return [rule];
  }
  return [
    { ...rule, address: ANY_IPV4 },
    { ...rule, address: ANY_IPV6 },
  ];
}
