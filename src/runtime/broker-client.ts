/** Asks the broker, where the host's network cannot be reached from here (broker.ts). */
import { closeSync, openSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { dirname } from "node:path";
import { AppError, appErrorFrom, errorCode } from "../base/errors.ts";
import { VERSION } from "../config/generated/version.ts";
import { parseJson } from "../base/json.ts";
import { type Netns, ownNamespaceId } from "../kernel/namespace.ts";
import { openProcess } from "../kernel/process.ts";
import { launchEngine, parseLaunched } from "./attach-engine.ts";
import { type BrokerRequest, brokerSocket, isInInnerNetwork } from "./broker.ts";
import { Cleanup } from "./cleanup.ts";
import type { Launched, LaunchRequest } from "./launch.ts";
import { readLine } from "./read-line.ts";

/** The broker greets at once; an engine is given as long as it may take, and some. */
const GREETING_TIMEOUT_MS = 2000;
const ANSWER_TIMEOUT_MS = 30_000;

/**
 * Starts an engine in the host's network namespace if there is a way, else in ours; its log then says why. Throws what
 * `launchEngine` throws.
 * @param withPorts whether ports are forwarded outside too; else somebody else does that
 */
export async function launchOutside(
  request: LaunchRequest,
  netns: Netns,
  withPorts: boolean,
): Promise<Launched> {
  if (request.listeners.length > 0 || !isInInnerNetwork()) return launchEngine(request, netns);
  const path = brokerSocket();
  const broker = path === undefined ? "there is no XDG_RUNTIME_DIR" : await Broker.connect(path);
  if (broker instanceof Broker) {
    const ports = withPorts ? request.network.ports : { ...request.network.ports, rules: [] };
    return broker.launch({ ...request, network: { ...request.network, ports } }, netns);
  }
  if (broker === undefined) return launchEngine(request, netns);
  const remark =
    "the engine is in the inner network namespace of its caller, whose network comes between it and the host's: " +
    `${broker}; start bucatini broker outside (docs/broker.md)`;
  return launchEngine({ ...request, remark }, netns);
}

class Broker {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // Whoever reads or writes hears of it.
    socket.on("error", () => {});
  }

  /** The broker; undefined when it is where we are; or a few words why there is none. */
  static async connect(path: string): Promise<Broker | string | undefined> {
    const broker = new Broker(createConnection(path));
    let why: string;
    try {
      const greeting = parse(await broker.#line(GREETING_TIMEOUT_MS));
      if (greeting?.["version"] === VERSION) {
        if (greeting["netns"] !== ownNamespaceId("net")) return broker;
        broker.#socket.destroy();
        return undefined;
      }
      const error = appErrorFrom(greeting?.["error"]);
      why = error?.message ?? `the broker is not of version ${VERSION}, start it again`;
    } catch (error) {
      why =
        errorCode(error) === "ENOENT"
          ? `no broker listens at ${path}`
          : `the broker at ${path} does not answer`;
    }
    broker.#socket.destroy();
    return why;
  }

  /** Has the engine started; the state directory is one that both sides see. */
  async launch(request: LaunchRequest, netns: Netns): Promise<Launched> {
    const cleanup = new Cleanup();
    const open = (fd: number): number => {
      cleanup.add(`close ${fd}`, () => closeSync(fd));
      return fd;
    };
    try {
      const { pids, netnsPath } = request.watch;
      const document: BrokerRequest = {
        version: VERSION,
        netns,
        processes: pids.map((pid) => open(openProcess(pid))),
        ...(netnsPath !== undefined && { directory: open(openSync(dirname(netnsPath), "r")) }),
        request,
      };
      this.#socket.write(`${JSON.stringify(document)}\n`);
      const line = await this.#line(ANSWER_TIMEOUT_MS);
      const launched = parseLaunched(line);
      if (launched !== undefined) return launched;
      throw appErrorFrom(parse(line)?.["error"]) ?? failed("its answer means nothing");
    } finally {
      this.#socket.destroy();
      await cleanup.run();
    }
  }

  /** The next line. Throws ENGINE_FAILED when there is none, or what the socket has met. */
  async #line(timeoutMs: number): Promise<string> {
    const line = await readLine(this.#socket, Infinity, timeoutMs);
    if (line === undefined) throw failed("it closed the connection");
    return line;
  }
}

const failed = (why: string): AppError =>
  new AppError("ENGINE_FAILED", `cannot start the engine through the broker: ${why}; see what it printed`);

function parse(line: string): Record<string, unknown> | undefined {
  const value = parseJson(line);
  return typeof value === "object" && value !== null ? { ...value } : undefined;
}
