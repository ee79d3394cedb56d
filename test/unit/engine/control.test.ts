import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ControlError, ControlServer } from "../../../src/engine/control.ts";
import { requestEngine } from "../../../src/runtime/control-client.ts";
import type { EngineState } from "../../../src/runtime/state-directory.ts";

const state: EngineState = {
  version: "1.0.0",
  id: "one",
  pid: process.pid,
  startTime: "1",
  phase: "running",
  target: { kind: "run" },
  createdAt: "",
};
let directory = "";
let server: ControlServer;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "bucatini-test-"));
  server = new ControlServer(
    new Map([
      ["echo", (params: unknown) => params],
      [
        "fail",
        () => {
          throw new ControlError("no-way", "cannot");
        },
      ],
      ["big-number", () => 1n],
      ["big", () => "x".repeat(200_000)],
    ]),
  );
  await server.listen(join(directory, "control.sock"));
});

afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

const ask = (method: string, params?: unknown) => requestEngine({ directory, state }, method, params);

/** Writes raw text and gives everything that comes back until the server closes. */
function raw(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket: Socket = createConnection(join(directory, "control.sock"));
    socket.setEncoding("utf8").on("data", (chunk: string) => (answer += chunk));
    socket.on("close", () => resolve(answer)).on("error", reject);
    socket.end(text);
  });
}

test("the socket is its owner's alone, and goes away", async () => {
  const path = join(directory, "control.sock");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  server.close();
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(existsSync(path)).toBe(false);
  await expect(ask("echo")).rejects.toThrow("cannot reach the engine one");
});

test("a method is answered with its result", async () => {
  expect(await ask("echo", { a: [1, "b"] })).toEqual({ a: [1, "b"] });
  expect(await ask("echo")).toBeNull();
  expect(await ask("big")).toHaveLength(200_000);
});

test("errors have a code and a message", async () => {
  await expect(ask("fail")).rejects.toThrow('{"code":"no-way","message":"cannot"}');
  await expect(ask("big-number")).rejects.toThrow('"code":"failed","message":"Do not know how');
  await expect(ask("nothing")).rejects.toThrow("unknown-method");
});

test("several requests on one connection are answered in order", async () => {
  const answers = await raw('{"method":"echo","params":1}\n{"method":"echo","params":2}\n');
  expect(answers).toBe('{"result":1}\n{"result":2}\n');
});

test("what is no request is answered with an error", async () => {
  for (const line of [
    "",
    "nonsense",
    "[]",
    "null",
    "1",
    '"x"',
    "{}",
    '{"method":1}',
    '{"method":"__proto__"}',
  ]) {
    expect(await raw(`${line}\n`)).toMatch(/^\{"error":\{"code":"(bad-request|unknown-method)"/);
  }
  expect(await raw("\0\u{ff}\u{10ffff}\n")).toContain("bad-request");
});

test("a line without end is cut off, and the next client is served", async () => {
  expect(await raw("x".repeat(70_000))).toContain("too-long");
  expect(await raw(`${JSON.stringify({ method: "echo", params: "x".repeat(70_000) })}\n`)).toContain(
    "too-long",
  );
  expect(await ask("echo", 1)).toBe(1);
});

test("a client that leaves at once does no harm", async () => {
  for (let i = 0; i < 50; i++)
    createConnection(join(directory, "control.sock"))
      .on("error", () => {})
      .destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await ask("echo", 1)).toBe(1);
});
