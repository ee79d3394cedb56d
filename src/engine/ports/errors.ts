/** Why a port cannot be listened on, in words that say what to do. */
import { formatIp } from "../../base/address.ts";
import { AppError, type ErrorCode } from "../../base/errors.ts";
import * as c from "../../ffi/constants.ts";
import { errnoName } from "../../ffi/errno.ts";
import { Pif } from "../../flow/state.ts";
import { describeListeners, type PortRule } from "../../forward/port-rule.ts";
import { IpProtocol } from "../../wire/ipv4.ts";

/** Ranges that a summary names. */
const RANGES_MAX = 10;

/** The error for one port of a rule. @param errno positive */
export function portError(rule: PortRule, port: number, errno: number): AppError {
  const { code, why } = explain(rule, port, errno);
  const protocol = protocolName(rule);
  const address = rule.listen === undefined ? undefined : formatIp(rule.listen);
  const side = rule.pif === Pif.Host ? "host" : "container";
  const details = {
    side,
    protocol,
    ...(address !== undefined && { address }),
    port,
    errno: errnoName(errno),
  };
  return new AppError(code, `cannot listen on ${describeListeners(rule, ` port ${port}`)}: ${why}`, {
    details,
  });
}

/**
 * One sentence about ports that could not be had.
 * @param failures positive errno by port
 */
export function describeFailures(rule: PortRule, failures: ReadonlyMap<number, number>): string {
  const byErrno = new Map<number, number[]>();
  for (const [port, errno] of failures) {
    const ports = byErrno.get(errno);
    if (ports === undefined) byErrno.set(errno, [port]);
    else ports.push(port);
  }
  const reasons = Array.from(byErrno, ([errno, ports]) => {
    ports.sort((a, b) => a - b);
    return `${formatPorts(ports)} (${explain(rule, ports[0], errno).why})`;
  });
  return `${describeListeners(rule)}: not forwarded: ${reasons.join("; ")}`;
}

/** Ports in their order as ranges: "80, 8000-8010". */
function formatPorts(ports: readonly number[]): string {
  const ranges: string[] = [];
  for (let i = 0, from = 0; i < ports.length; i++) {
    if (ports[i + 1] === ports[i] + 1) continue;
    ranges.push(i === from ? `${ports[i]}` : `${ports[from]}-${ports[i]}`);
    from = i + 1;
  }
  const more = ranges.length - RANGES_MAX;
  return `${ranges.slice(0, RANGES_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

const protocolName = ({ protocol }: PortRule): "tcp" | "udp" => (protocol === IpProtocol.Tcp ? "tcp" : "udp");

function explain(rule: PortRule, port: number, errno: number): { code: ErrorCode; why: string } {
  switch (errno) {
    case c.EADDRINUSE:
      return { code: "PORT_IN_USE", why: "another program listens there" };
    case c.EACCES:
      return { code: "PORT_FORBIDDEN", why: needsPrivilege(rule, port) };
    case c.EPERM:
      return { code: "PORT_FORBIDDEN", why: "before Linux 5.7 only root may bind to an interface" };
    case c.EADDRNOTAVAIL:
      return { code: "USAGE", why: "there is no such address (see --freebind)" };
    case c.ENODEV:
      return { code: "USAGE", why: "there is no such interface" };
    case c.EMFILE:
    case c.ENFILE:
      return { code: "PORT_LIMIT", why: "too many files are open (see ulimit -n)" };
    default:
      return { code: "INTERNAL", why: errnoName(errno) };
  }
}

function needsPrivilege({ pif }: PortRule, port: number): string {
  const allow = `it is privileged; sysctl net.ipv4.ip_unprivileged_port_start=${port}`;
  if (pif !== Pif.Host) return `${allow} in the container allows it`;
  return `${allow} allows it, or systemd opens it: README.md, "Ports below 1024"`;
}
