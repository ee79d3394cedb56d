/**
 * Who holds a port that an engine could not have. The engine cannot tell: it may live in a user namespace that has no
 * power over the holder. What we cannot see either is left out.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { formatIp, isIpv4, isUnspecified, parseIp } from "../base/address.ts";
import { AppError, SysError } from "../base/errors.ts";
import { SockDiag, type WaitingSocket } from "../kernel/sock-diag.ts";
import { listEngines } from "./state-directory.ts";

/** Protocol numbers of IANA. */
const PROTOCOLS = { tcp: 6, udp: 17 };
/** It opens sockets for others, who hold them too. */
const INIT = 1;

/** The error of an engine, with the holder's name at its end when it is about a port of the host that is in use. */
export function nameHolder(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== "PORT_IN_USE") return error;
  const { side, protocol, port, address } = error.details ?? {};
  if (side !== "host" || (protocol !== "tcp" && protocol !== "udp") || typeof port !== "number") return error;
  const holder = describeHolder(protocol, port, typeof address === "string" ? address : undefined);
  if (holder === "") return error;
  return new AppError(error.code, `${error.message}: ${holder}`, { cause: error, details: error.details! });
}

/**
 * A few words about who listens on a port in our network namespace, or empty.
 * @param address undefined: all addresses of both families
 */
export function describeHolder(protocol: "tcp" | "udp", port: number, address: string | undefined): string {
  const socket = findSocket(PROTOCOLS[protocol], port, address === undefined ? undefined : parseIp(address));
  if (socket === undefined) return "";
  const pid = processOf(socket.inode);
  if (pid === undefined) return `a program of uid ${socket.uid}`;
  const engine = listEngines().find(({ state }) => state.pid === pid);
  return `${engine === undefined ? nameOf(pid) : `the engine ${engine.state.id}`} (process ${pid})`;
}

function findSocket(
  protocol: number,
  port: number,
  address: Uint32Array | undefined,
): { inode: number; uid: number } | undefined {
  let found: { inode: number; uid: number } | undefined;
  try {
    const diag = SockDiag.open();
    for (const v6 of [false, true]) {
      diag.dump(protocol, v6, (socket) => {
        const { inode, uid } = socket;
        // A socket that is being closed has no inode any more.
        if (socket.port === port && inode !== 0 && isInTheWay(socket, address)) found ??= { inode, uid };
      });
    }
    diag.close();
  } catch (error) {
    // The kernel has no such lists.
    if (!(error instanceof SysError)) throw error;
  }
  return found;
}

function isInTheWay({ address, isDual }: WaitingSocket, wanted: Uint32Array | undefined): boolean {
  if (wanted === undefined || isDual) return true;
  if (isIpv4(wanted) !== isIpv4(address)) return false;
  return isUnspecified(wanted) || isUnspecified(address) || formatIp(wanted) === formatIp(address);
}

/** A process that has a socket open; undefined when we may not look into it. @see proc_pid_fd(5) */
function processOf(inode: number): number | undefined {
  const link = `socket:[${inode}]`;
  const pids = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const last = pids.includes(INIT) ? [INIT] : [];
  return [...pids.filter((pid) => pid !== INIT), ...last].find((pid) => hasOpen(pid, link));
}

function hasOpen(pid: number, link: string): boolean {
  try {
    const fds = readdirSync(`/proc/${pid}/fd`);
    return fds.some((fd) => readLink(`/proc/${pid}/fd/${fd}`) === link);
  } catch {
    // It is somebody else's, or has just ended.
    return false;
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // Just closed.
    return "";
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    // It has just ended.
    return "a program";
  }
}
