/**
 * The broker's side (broker.ts). Clients are programs of the same user, who could do by themselves all that is done for
 * them, were they outside; what they send is bounded and checked all the same.
 */
import { closeSync, readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { AppError, errorCode } from "../base/errors.ts";
import { validateBrokerRequest } from "../config/generated/broker-request.ts";
import { VERSION } from "../config/generated/version.ts";
import { openNetns, ownNamespaceId } from "../kernel/namespace.ts";
import { peerOf } from "../kernel/socket.ts";
import { openForLookup } from "../kernel/watch.ts";
import { launchEngine } from "./attach-engine.ts";
import type { BrokerGreeting, BrokerRequest } from "./broker.ts";
import { Cleanup } from "./cleanup.ts";
import { stopEngine } from "./control-client.ts";
import type { Launched, LaunchRequest } from "./launch.ts";
import { readLine } from "./read-line.ts";
import { isStateDirectory } from "./state-directory.ts";

const CLIENTS_MAX = 64;
/** Longest request in characters: as many rules of ports as there may be, and then some. */
const REQUEST_MAX = 2 * 1024 * 1024;
/** A client has this long to ask. */
const REQUEST_TIMEOUT_MS = 10_000;

const isRequest = (value: unknown): value is BrokerRequest => validateBrokerRequest(value);

/** @param tell says what a person who looks after the broker should know */
export function createBroker(tell: (text: string) => void): Server {
  const server = createServer({ pauseOnConnect: true }, (client) => {
    client.on("error", () => client.destroy());
    void serve(client).catch((error: unknown) => {
      const known = error instanceof AppError ? error : new AppError("INTERNAL", String(error));
      tell(known.message);
      // A client that is still writing reads the answer only afterwards.
      client.resume().end(`${JSON.stringify({ error: known })}\n`);
      setTimeout(() => client.destroy(), REQUEST_TIMEOUT_MS).unref();
    });
  });
  server.maxConnections = CLIENTS_MAX;
  // A failing accept must not end the broker.
  return server.on("error", (error) => tell(`cannot accept a client: ${error.message}`));
}

/** Throws what the client is to be told. */
async function serve(client: Socket): Promise<void> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a field that Node.js has had from the start
  const { _handle: handle } = client as unknown as { _handle: { fd: number } | null };
  if (handle === null) return;
  const { uid, pid } = peerOf(handle.fd);
  if (uid !== process.geteuid!()) throw refused("it comes from another user");
  const greeting: BrokerGreeting = { version: VERSION, netns: ownNamespaceId("net") };
  client.write(`${JSON.stringify(greeting)}\n`);
  const request = await readRequest(client);
  if (request === undefined) {
    client.destroy();
    return;
  }
  const launched = await launchFor(pid, request);
  const isAnswered = await new Promise<boolean>((resolve) => {
    client.once("close", () => resolve(false));
    client.end(`${JSON.stringify(launched)}\n`, (error?: Error | null) => resolve(!(error instanceof Error)));
  });
  // Nobody knows of the engine.
  if (!isAnswered) await stopEngine({ directory: request.request.engine.directory, state: launched.state });
}

/** Undefined when the client wants nothing: it may be where we are. Throws USAGE. */
async function readRequest(client: Socket): Promise<BrokerRequest | undefined> {
  let line: string | undefined;
  try {
    line = await readLine(client, REQUEST_MAX, REQUEST_TIMEOUT_MS);
    if (line === undefined) return undefined;
    const request: unknown = JSON.parse(line);
    if (isRequest(request) && request.version === VERSION) return request;
  } catch (cause) {
    // Who has gone away again does not matter.
    if (["ECONNRESET", "EPIPE"].includes(errorCode(cause))) return undefined;
    throw refused(cause instanceof SyntaxError ? "it is no JSON" : String(cause));
  }
  throw refused("it is not what a plugin of this version sends");
}

async function launchFor(pid: number, asked: BrokerRequest): Promise<Launched> {
  const { engine, watch, process: options } = asked.request;
  if (pid === 0) throw refused("its process is in a PID namespace that is not below this one");
  if (!isStateDirectory(engine.directory)) throw refused(`${engine.directory} is no state directory here`);
  const cleanup = new Cleanup();
  try {
    const path = `/proc/${pid}/fd/`;
    const netns = openNetns(`${path}${asked.netns.fd}`);
    cleanup.add("close the namespace", () => closeSync(netns.fd));
    if (netns.id !== asked.netns.id) throw refused("its descriptor is of another namespace");
    const request: LaunchRequest = {
      ...asked.request,
      watch: { pids: asked.processes.map((fd) => processBehind(pid, fd)) },
      listeners: [],
      foreground: false,
      process: options,
    };
    if (watch.netnsPath !== undefined && asked.directory !== undefined) {
      const directory = openForLookup(`${path}${asked.directory}`);
      cleanup.add("close the directory", () => closeSync(directory));
      request.watch = { ...request.watch, netnsPath: watch.netnsPath, directory };
    }
    return await launchEngine(request, { ...netns, path: asked.netns.path });
  } finally {
    await cleanup.run();
  }
}

/** The number that the process of a pidfd has here. @see pidfd_open(2), proc_pid_fdinfo(5) */
function processBehind(pid: number, pidfd: number): number {
  const found = /^Pid:\s+(-?\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${pidfd}`, "utf8"))?.[1];
  if (found === undefined) throw refused("its descriptor is of no process");
  if (Number(found) > 0) return Number(found);
  throw new AppError("TARGET_GONE", "the container's process has ended");
}

const refused = (why: string): AppError =>
  new AppError("USAGE", `the broker refuses a request: ${why}; use the plugins of bucatini ${VERSION}`);
