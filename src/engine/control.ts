/**
 * The control socket: one JSON object a line in each direction (docs/control.md). Only the owner of the state
 * directory can reach it (directory mode 0700, socket mode 0600), and the caller's uid is checked all the same;
 * what arrives is treated as hostile: bounded, and never more than an error answer.
 */
import { statSync } from "node:fs";
import type { Socket } from "node:net";
import { AppError } from "../base/errors.ts";
import { parseJson } from "../base/json.ts";
import { validateControl } from "../config/generated/control.ts";
import { EPOLLET, EPOLLIN } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { close } from "../ffi/libc.ts";
import type { Epoll } from "../kernel/epoll.ts";
import { peerOf } from "../kernel/socket.ts";
import { acceptUnix } from "../kernel/unix-socket.ts";
import { isInInitialUserNamespace, overflowUid } from "../kernel/user-namespace.ts";
import { type ControlSocket, removeControlSocket } from "./control-socket.ts";

/** Longest request in characters: as many rules of ports as there may be, and then some. */
const LINE_MAX = 2 * 1024 * 1024;
const CLIENTS_MAX = 16;
/** A client that asks nothing for so long makes room for another one. */
const IDLE_MS = 60_000;

/**
 * Answers one method; what it returns or promises must be JSON. What it throws becomes the error answer, with code
 * and details when it is an AppError. `params` are those that the schema accepts.
 */
export type ControlHandler = (params: unknown) => unknown;
export type ControlHandlers = ReadonlyMap<string, ControlHandler>;

/** As much of an error of the validator as we use. */
interface SchemaError {
  instancePath: string;
  message?: string;
  propertyName?: string;
  params: { allowedValues?: readonly unknown[]; additionalProperty?: string };
}

interface Request {
  method: string;
  params?: unknown;
}

/** The generated validator leaves the errors of its last call behind. */
const validate: { (request: unknown): boolean; errors?: readonly SchemaError[] | null } = validateControl;
const isRequest = (request: unknown): request is Request => validate(request);

export class ControlServer {
  private readonly socket: ControlSocket;
  /** When each asked or was answered last, by performance.now(). */
  private readonly clients = new Map<Socket, number>();
  private readonly handlers: ControlHandlers;
  private readonly pause: () => Promise<void>;
  private readonly idleMs: number;
  private isOpen = true;

  /**
   * @param socket belongs to us from now on
   * @param pause lets packets have a turn between requests
   * @param idleMs how long a client may ask nothing when another one wants its place
   */
  constructor(
    socket: ControlSocket,
    handlers: ControlHandlers,
    pause: () => Promise<void>,
    idleMs = IDLE_MS,
  ) {
    this.socket = socket;
    this.handlers = handlers;
    this.pause = pause;
    this.idleMs = idleMs;
  }

  /** Has `epoll` tell of clients, for whom `accept` is to be called. Throws SysError. */
  register(epoll: Epoll, kind: number): void {
    // By the edge: a client that no descriptor was left for must not keep us awake.
    check(epoll.add(this.socket.fd, EPOLLIN | EPOLLET, kind, 0), "epoll_ctl", "control socket");
  }

  /** Takes the clients that wait. Those that cannot be had, because no descriptors are left, wait for the next one. */
  async accept(): Promise<void> {
    // What Node.js has for sockets takes time and memory, which an engine that is never asked can do without.
    const { Socket: Client } = await import("node:net");
    while (this.isOpen) {
      const fd = acceptUnix(this.socket.fd);
      if (fd < 0) return;
      // The end of a client's requests is not the end of its answers.
      this.serve(new Client({ fd, readable: true, writable: true, allowHalfOpen: true }), peerOf(fd).uid);
    }
  }

  /** Stops listening, removes the socket file, and closes clients once their answers are written. */
  close(): void {
    this.isOpen = false;
    close(this.socket.fd);
    removeControlSocket(this.socket);
    for (const client of this.clients.keys()) client.destroySoon();
  }

  private serve(client: Socket, uid: number): void {
    client.on("error", () => client.destroy());
    if (this.clients.size >= CLIENTS_MAX && !this.evict()) {
      client.destroy();
      return;
    }
    this.clients.set(client, performance.now());
    client.on("close", () => this.clients.delete(client));
    if (!this.mayAsk(uid)) {
      this.refuse(client, "forbidden", "only the owner of this engine and root may ask it");
      return;
    }
    client.setEncoding("utf8");
    let answered = Promise.resolve("");
    client.on("data", (chunk: string) => {
      // One request at a time; meanwhile what the client sends waits in the kernel.
      client.pause();
      answered = answered.then((rest) => this.answerAll(client, rest + chunk));
      void answered.then(() => client.resume());
    });
    client.on("end", () => void answered.then(() => client.end()));
  }

  /** Sends away the client that has been idle longest, if that is long enough. Timers would not help: see loop.ts. */
  private evict(): boolean {
    const [[client, since]] = [...this.clients].toSorted(([, a], [, b]) => a - b);
    if (performance.now() - since < this.idleMs) return false;
    this.clients.delete(client);
    client.destroy();
    return true;
  }

  /** Says no, and listens no more. The client closes the connection; else its place is the first to be given away. */
  private refuse(client: Socket, code: string, message: string): void {
    if (!client.writable) return;
    this.clients.set(client, -Infinity);
    client.removeAllListeners("data").resume();
    client.end(`${failure(code, message)}\n`);
  }

  /**
   * In a user namespace the machine's root has no number, like all others of outside: as long as the socket's mode
   * lets in nobody else, it is root.
   */
  private mayAsk(uid: number): boolean {
    const { allowed, path } = this.socket;
    if (allowed.has(uid)) return true;
    if (isInInitialUserNamespace() || uid !== overflowUid()) return false;
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat !== undefined && (stat.mode & 0o077) === 0;
  }

  /** Answers every complete line; gives what is behind them. */
  private async answerAll(client: Socket, text: string): Promise<string> {
    const lines = text.split("\n");
    const rest = lines.pop()!;
    const tooLong = lines.findIndex((line) => line.length > LINE_MAX);
    for (const line of tooLong < 0 ? lines : lines.slice(0, tooLong)) {
      // oxlint-disable-next-line no-await-in-loop -- in their order
      const answer = await this.execute(line);
      if (!client.writable) return "";
      this.clients.set(client, performance.now());
      // oxlint-disable-next-line no-await-in-loop
      if (!client.write(`${answer}\n`)) await drained(client);
      // oxlint-disable-next-line no-await-in-loop
      await this.pause();
    }
    if (tooLong < 0 && rest.length <= LINE_MAX) return rest;
    this.refuse(client, "too-long", `a request has at most ${LINE_MAX} characters`);
    return "";
  }

  /** The answer, a line of JSON. */
  private async execute(line: string): Promise<string> {
    const request = parseJson(line);
    if (!isRequest(request)) return failure("bad-request", describeMistake());
    const handler = this.handlers.get(request.method);
    if (handler === undefined) return failure("unknown-method", "no such method");
    try {
      return JSON.stringify({ result: (await handler(request.params)) ?? null });
    } catch (error) {
      if (error instanceof AppError) return JSON.stringify({ error });
      return failure("failed", error instanceof Error ? error.message : String(error));
    }
  }
}

/** Resolves when everything written has been taken, or never will be. */
function drained(client: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      client.off("drain", done).off("close", done);
      resolve();
    };
    client.on("drain", done).on("close", done);
  });
}

const failure = (code: string, message: string): string => JSON.stringify({ error: { code, message } });

/** What is wrong with the request that was validated last. */
function describeMistake(): string {
  const { instancePath, message, propertyName, params } = validate.errors![0];
  const unknown = params.additionalProperty ?? propertyName;
  if (unknown !== undefined) return `${instancePath}/${unknown} is unknown`;
  const values = params.allowedValues === undefined ? "" : `: ${params.allowedValues.join(", ")}`;
  return `${instancePath === "" ? "the request" : instancePath} ${message}${values}`;
}
