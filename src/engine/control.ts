/**
 * The control socket: one JSON object a line in each direction. Only the owner of the state directory can reach
 * it (directory mode 0700, socket mode 0600); what arrives is still treated as hostile: bounded, and never more
 * than an error answer.
 */
import { chmodSync, chownSync, statSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";

/** Longest request, in bytes with its newline. */
const LINE_MAX = 64 * 1024;
const CLIENTS_MAX = 16;
/** A client that does not read its answers is cut off when this many bytes wait for it. */
const UNREAD_MAX = 4 * 1024 * 1024;

/** Answers one method; what it returns must be JSON. What it throws becomes the error answer. */
export type ControlHandler = (params: unknown) => unknown;
export type ControlHandlers = ReadonlyMap<string, ControlHandler>;

/** A request that cannot be answered; `code` is for programs. */
export class ControlError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "ControlError";
    this.code = code;
  }
}

export class ControlServer {
  private readonly server: Server;
  private readonly clients = new Set<Socket>();
  private readonly handlers: ControlHandlers;

  constructor(handlers: ControlHandlers) {
    this.handlers = handlers;
    this.server = createServer((client) => this.accept(client));
    this.server.maxConnections = CLIENTS_MAX;
  }

  /** Starts to listen on a path that must not exist. Rejects when that fails. */
  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(path, () => {
        this.server.off("error", reject);
        // A failing accept (no descriptors left) must not end the engine.
        this.server.on("error", () => {});
        chmodSync(path, 0o600);
        const { uid, gid } = statSync(dirname(path));
        // An engine inside a user namespace may be another user there.
        if (uid !== process.geteuid!()) chownSync(path, uid, gid);
        resolve();
      });
    });
  }

  /** Stops listening, removes the socket file, and closes clients once their answers are written. */
  close(): void {
    this.server.close();
    for (const client of this.clients) client.destroySoon();
  }

  private accept(client: Socket): void {
    this.clients.add(client);
    client.on("close", () => this.clients.delete(client));
    client.on("error", () => client.destroy());
    let pending = "";
    client.setEncoding("utf8");
    client.on("data", (chunk: string) => {
      const lines = (pending + chunk).split("\n");
      pending = lines.pop()!;
      for (const line of lines) {
        if (!client.destroyed) this.answer(client, line);
      }
      if (pending.length <= LINE_MAX) return;
      pending = "";
      send(client, failure("too-long", `a request has at most ${LINE_MAX} bytes`));
      client.destroySoon();
    });
  }

  private answer(client: Socket, line: string): void {
    if (line.length > LINE_MAX) {
      send(client, failure("too-long", `a request has at most ${LINE_MAX} bytes`));
      client.destroySoon();
      return;
    }
    send(client, this.execute(line));
  }

  /** The answer, a line of JSON. */
  private execute(line: string): string {
    const request = parseRequest(line);
    if (request === undefined) return failure("bad-request", "not a JSON object with a method");
    const handler = this.handlers.get(request.method);
    if (handler === undefined) return failure("unknown-method", "no such method");
    try {
      return JSON.stringify({ result: handler(request.params) ?? null });
    } catch (error) {
      const code = error instanceof ControlError ? error.code : "failed";
      return failure(code, error instanceof Error ? error.message : String(error));
    }
  }
}

const failure = (code: string, message: string): string => JSON.stringify({ error: { code, message } });

function send(client: Socket, answer: string): void {
  client.write(`${answer}\n`);
  if (client.writableLength > UNREAD_MAX) client.destroy();
}

function parseRequest(line: string): { method: string; params: unknown } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Not JSON: answered like any other request that is none.
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("method" in value)) return undefined;
  if (typeof value.method !== "string") return undefined;
  return { method: value.method, params: "params" in value ? value.params : undefined };
}
