// The programs that measure: iperf3, and the load generator (load.ts), between the two ends of a scene.
import { existsSync, readFileSync } from "node:fs";
import type { Ends } from "./ends.ts";
import { toolCommand } from "./namespaces.ts";
import { type Child, run, start, until } from "./process.ts";

export const IPERF_PORT = 5201;
export const LOAD_PORT = 5300;

/** As in /proc/net: listening TCP, unconnected UDP. */
type SocketState = "0A" | "07";

/** Two ends and how long they talk, in seconds. */
export type Talk = Ends & { readonly seconds: number };

interface IperfResult {
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number };
    readonly sum: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
}

/** iperf3, one stream, to a server that serves once. */
export async function iperf(
  talk: Talk,
  options: readonly string[],
  extraSeconds: number,
): Promise<IperfResult> {
  const where = ["--port", String(IPERF_PORT), "--bind", talk.bind];
  const server = start([...talk.server.enter, "iperf3", "--server", "--one-off", ...where]);
  try {
    await until("the iperf3 server", 5, () => isBound(talk.server.pid, IPERF_PORT, "0A"));
    const time = ["--time", String(talk.seconds), "--connect-timeout", "3000", "--json"];
    const client = ["iperf3", "--client", talk.address, "--port", String(IPERF_PORT), ...time, ...options];
    const { stdout } = await run([...talk.client.enter, ...client], talk.seconds + extraSeconds + 8);
    return JSON.parse(stdout) as IperfResult;
  } finally {
    await server.stop();
  }
}

export interface LoadResult {
  readonly count: number;
  readonly seconds: number;
  readonly errors: number;
}

export function parseLoad(text: string): LoadResult {
  return JSON.parse(text) as LoadResult;
}

/** Starts a server of load.ts and waits until its socket is in `state`. */
export async function loadServer(
  talk: Talk,
  mode: string,
  state: SocketState,
  ...more: readonly string[]
): Promise<Child> {
  const args = [mode, talk.bind, String(LOAD_PORT), String(talk.seconds + 5), ...more];
  const server = start([...talk.server.enter, ...toolCommand("load.ts", args)]);
  await until("the load server", 5, () => {
    if (server.status() !== undefined) throw new Error(`load server ended: ${server.output().stderr}`);
    return isBound(talk.server.pid, LOAD_PORT, state);
  });
  return server;
}

export async function loadClient(talk: Talk, [mode = "", ...rest]: readonly string[]): Promise<LoadResult> {
  const { stdout } = await run(loadClientCommand(talk, mode, rest), talk.seconds + 8);
  return parseLoad(stdout);
}

export function loadClientCommand(talk: Talk, mode: string, more: readonly string[]): string[] {
  const args = [mode, talk.address, String(LOAD_PORT), String(talk.seconds), ...more];
  return [...talk.client.enter, ...toolCommand("load.ts", args)];
}

/** Is a socket in the state bound to the port in the namespace of a process? */
function isBound(pid: number, port: number, state: SocketState): boolean {
  return boundPorts(pid, state).has(port);
}

/** Local ports of all sockets in the state in the namespace of a process. */
export function boundPorts(pid: number, state: SocketState): Set<number> {
  const protocol = state === "0A" ? "tcp" : "udp";
  const pattern = new RegExp(`:([\\dA-F]{4}) [\\dA-F]+:0000 ${state} `, "g");
  const ports = ["", "6"].flatMap((family) => {
    const path = `/proc/${pid}/net/${protocol}${family}`;
    const text = existsSync(path) ? readFileSync(path, "utf8") : "";
    return Array.from(text.matchAll(pattern), (match) => Number.parseInt(match[1] ?? "", 16));
  });
  return new Set(ports);
}
