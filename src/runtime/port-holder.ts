/**
 * Who holds a port that an engine could not have. The engine cannot tell: it may live in a user namespace that has no
 * power over the holder. What we cannot see either is left out. Files are read asynchronously: Node's other threads
 * still have the capabilities that this one has given up when it has started an engine.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { formatIp, isIpv4, isUnspecified, parseIp } from "../base/address.ts";
import { AppError, SysError } from "../base/errors.ts";
import { SockDiag, type WaitingSocket } from "../kernel/sock-diag.ts";
import { listEngines } from "./state-directory.ts";

/** Protocol numbers of IANA. */
export const PROTOCOLS = { tcp: 6, udp: 17 };
/** It opens sockets for others, who hold them too. */
const INIT = 1;

/** A port in our network namespace. */
export interface HostPort {
  protocol: "tcp" | "udp";
  port: number;
  /** Absent: on all addresses of both families. */
  address?: string;
}

/** The error of an engine, with the holder's name and what to do at its end when it is about a port of the host that is in use. */
export async function nameHolder(error: unknown): Promise<unknown> {
  const port = portInUse(error);
  const holder = port === undefined ? "" : await describeHolder(port);
  if (holder === "" || !(error instanceof AppError)) return error;
  return new AppError(error.code, `${error.message}: ${holder}; end it or take another port`, {
    cause: error,
    details: error.details!,
  });
}

/** The port of the host that an error is about; undefined when it is about something else. */
export function portInUse(error: unknown): HostPort | undefined {
  if (!(error instanceof AppError) || error.code !== "PORT_IN_USE") return undefined;
  const { side, protocol, port, address } = error.details ?? {};
  if (side !== "host" || (protocol !== "tcp" && protocol !== "udp") || typeof port !== "number")
    return undefined;
  return { protocol, port, ...(typeof address === "string" && { address }) };
}

/** Tells whether somebody has it now. */
export const isHeld = (port: HostPort): boolean => findSocket(port) !== undefined;

/** A few words about who listens there, or empty. */
export async function describeHolder(port: HostPort): Promise<string> {
  const socket = findSocket(port);
  if (socket === undefined) return "";
  const pid = await processOf(socket.inode);
  if (pid === undefined) return `a program of uid ${socket.uid}`;
  const engine = listEngines().find(({ state }) => state.pid === pid);
  return `${engine === undefined ? await nameOf(pid) : `the engine ${engine.state.id}`} (process ${pid})`;
}

function findSocket({ protocol, port, address }: HostPort): { inode: number; uid: number } | undefined {
  const wanted = address === undefined ? undefined : parseIp(address);
  let found: { inode: number; uid: number } | undefined;
  try {
    const diag = SockDiag.open();
    for (const v6 of [false, true]) {
      diag.dump(PROTOCOLS[protocol], v6, (socket) => {
        const { inode, uid } = socket;
        // A socket that is being closed has no inode any more.
        if (socket.port === port && inode !== 0 && isInTheWay(socket, wanted)) found ??= { inode, uid };
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
async function processOf(inode: number): Promise<number | undefined> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const holders = await Promise.all(pids.map((pid) => hasOpen(pid, `socket:[${inode}]`)));
  const found = pids.filter((_, i) => holders[i]);
  return found.find((pid) => pid !== INIT) ?? found[0];
}

async function hasOpen(pid: number, link: string): Promise<boolean> {
  try {
    const fds = await readdir(`/proc/${pid}/fd`);
    const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")));
    return links.includes(link);
  } catch {
    // It is somebody else's, or has just ended.
    return false;
  }
}

async function nameOf(pid: number): Promise<string> {
  try {
    return (await readFile(`/proc/${pid}/comm`, "utf8")).trim();
  } catch {
    // It has just ended.
    return "a program";
  }
}
