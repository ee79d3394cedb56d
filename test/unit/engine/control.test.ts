import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { AppError } from "../../../src/base/errors.ts";
import { PORT_RULES_MAX, type PortRuleOptions } from "../../../src/config/options.ts";
import { ControlServer } from "../../../src/engine/control.ts";
import { openControlSocket } from "../../../src/engine/control-socket.ts";
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
let accepting: NodeJS.Timeout;
/** Answers that have been made for "big". */
let bigAnswers = 0;

const handlers = new Map<string, (params: unknown) => unknown>([
  ["echo", (params) => params],
  ["setPorts", (params) => params],
  [
    "fail",
    async () => {
      await Promise.resolve();
      throw new AppError("BUSY", "cannot", { details: { port: 80 } });
    },
  ],
  ["slow", (params) => new Promise((resolve) => setTimeout(() => resolve(params), 50))],
  ["big-number", () => 1n],
  ["big", () => (bigAnswers++, "x".repeat(200_000))],
]);

beforeEach(() => restart());

/** @param idleMs see ControlServer */
function restart(idleMs?: number): void {
  directory = mkdtempSync(join(tmpdir(), "bucatini-test-"));
  const socket = openControlSocket(join(directory, "control.sock"));
  server = new ControlServer(socket, handlers, setImmediate, idleMs);
  // As often as the engine's loop tells of a client, and more.
  accepting = setInterval(() => void server.accept(), 1);
}

afterEach(stop);

function stop(): void {
  clearInterval(accepting);
  server.close();
  rmSync(directory, { recursive: true });
}

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

test("errors have a code, a message and details", async () => {
  await expect(ask("fail")).rejects.toMatchObject({
    code: "BUSY",
    message: "cannot",
    details: { port: 80 },
  });
  await expect(ask("big-number")).rejects.toThrow('"code":"failed","message":"Do not know how');
  await expect(ask("nothing")).rejects.toThrow("unknown-method");
});

test("several requests on one connection are answered in order, however long each takes", async () => {
  const answers = await raw(
    '{"method":"slow","params":1}\n{"method":"echo","params":2}\n{"method":"slow","params":3}\n',
  );
  expect(answers).toBe('{"result":1}\n{"result":2}\n{"result":3}\n');
});

test("what is no request is answered with what is wrong with it", async () => {
  for (const [line, message] of [
    ["", "the request must be object"],
    ["nonsense", "the request must be object"],
    ["[]", "the request must be object"],
    ["null", "the request must be object"],
    ["1", "the request must be object"],
    ['"x"', "the request must be object"],
    ["[".repeat(100_000), "the request must be object"],
    ["{}", "the request must have required property 'method'"],
    ['{"method":1}', "/method must be string"],
    ['{"method":"echo","id":1}', "/id is unknown"],
    ['{"method":"echo","__proto__":{}}', "/__proto__ is unknown"],
    ["\0\u{ff}\u{10ffff}", "the request must be object"],
  ]) {
    expect(JSON.parse(await raw(`${line}\n`))).toEqual({ error: { code: "bad-request", message } });
  }
});

test("names that every object has are no methods", async () => {
  for (const method of ["__proto__", "constructor", "toString", "hasOwnProperty", ""]) {
    await expect(ask(method)).rejects.toThrow("unknown-method");
  }
});

const RULE: PortRuleOptions = { side: "host", protocol: "tcp", first: 80, last: 80, targetFirst: 80 };

test("ports are set by rules of the right form, as many as there may be", async () => {
  const long: PortRuleOptions = {
    ...RULE,
    address: "2001:db8:1111:2222:3333:4444:5555:6666",
    interface: "0123456789abcde",
    targetAddress: "2001:db8:1111:2222:3333:4444:5555:7777",
    weak: true,
    scan: true,
  };
  const rules = Array.from({ length: PORT_RULES_MAX }, () => long);
  expect(await ask("setPorts", { action: "set", rules })).toEqual({ action: "set", rules });
  expect(await ask("setPorts", { action: "del", rules: [] })).toEqual({ action: "del", rules: [] });
});

test("changes of another form are refused with the place", async () => {
  for (const [line, message] of [
    ['{"method":"setPorts"}', "the request must have required property 'params'"],
    ['{"method":"setPorts","params":null}', "/params must be object"],
    ['{"method":"setPorts","params":{"action":"add"}}', "/params must have required property 'rules'"],
    [
      '{"method":"setPorts","params":{"action":"clear","rules":[]}}',
      "/params/action must be equal to one of the allowed values: add, del, set",
    ],
    ['{"method":"setPorts","params":{"action":"add","rules":{}}}', "/params/rules must be array"],
    [
      change(...Array.from({ length: PORT_RULES_MAX + 1 }, () => ({}))),
      "/params/rules must NOT have more than 4096 items",
    ],
    [change(null), "/params/rules/0 must be object"],
    [change([]), "/params/rules/0 must be object"],
    [change({}), "/params/rules/0 must have required property 'side'"],
    [change({ first: 0 }), "/params/rules/0/first must be >= 1"],
    [change({ last: 65_536 }), "/params/rules/0/last must be <= 65535"],
    [change({ targetFirst: "80" }), "/params/rules/0/targetFirst must be integer"],
    [change({ first: 1.5 }), "/params/rules/0/first must be integer"],
    [
      change({ side: "both" }),
      "/params/rules/0/side must be equal to one of the allowed values: host, container",
    ],
    [change({ weak: false }), "/params/rules/0/weak must be equal to constant"],
    [
      change({ interface: "0123456789abcdef" }),
      "/params/rules/0/interface must NOT have more than 15 characters",
    ],
    [change({ state: "listening" }), "/params/rules/0/state is unknown"],
    [
      change({ first: 80 }).replace('"side"', '"__proto__":{"weak":true},"side"'),
      "/params/rules/0/__proto__ is unknown",
    ],
  ]) {
    expect(JSON.parse(await raw(`${line}\n`))).toEqual({ error: { code: "bad-request", message } });
  }
});

/** A request with rules that are RULE with other values; `{}` and what is no object stand for themselves. */
function change(...rules: unknown[]): string {
  const whole = rules.map((each) =>
    typeof each === "object" && each !== null && Object.keys(each).length > 0 ? { ...RULE, ...each } : each,
  );
  return JSON.stringify({ method: "setPorts", params: { action: "add", rules: whole } });
}

test("an answer too deep for JSON is an error", async () => {
  const deep = "[".repeat(500_000) + "]".repeat(500_000);
  expect(await raw(`{"method":"echo","params":${deep}}\n`)).toContain('{"error":{"code":"failed"');
});

test("a line without end is cut off, and the next client is served", async () => {
  const tooLong = "x".repeat(2 * 1024 * 1024 + 1);
  expect(await raw(tooLong)).toContain("too-long");
  expect(await raw(`${JSON.stringify({ method: "echo", params: tooLong })}\n`)).toContain("too-long");
  const first = `${JSON.stringify({ method: "echo", params: 1 })}\n`;
  expect(await raw(`${first}${tooLong}\n${first}`)).toMatch(
    /^\{"result":1\}\n\{"error":\{"code":"too-long".*\n$/,
  );
  expect(await ask("echo", 1)).toBe(1);
});

test("a client that does not read is not served further, holds little memory and hinders nobody", async () => {
  const slow = createConnection(join(directory, "control.sock")).pause();
  const requests = 500;
  slow.write('{"method":"big"}\n'.repeat(requests));
  await new Promise((resolve) => setTimeout(resolve, 100));
  // What has been answered and not read is held: not much more than the kernel's buffers hold anyway.
  expect(bigAnswers).toBeLessThan(requests / 2);
  expect(await ask("echo", 1)).toBe(1);
  let length = 0;
  slow.on("data", (chunk) => (length += chunk.length));
  slow.resume().end();
  await once(slow, "close");
  expect(length).toBe(requests * (200_000 + '{"result":""}\n'.length));
});

test("clients beyond the sixteenth are sent away, until one has been idle for so long that it must go", async () => {
  stop();
  restart(200);
  const path = join(directory, "control.sock");
  const idle = Array.from({ length: 16 }, () => createConnection(path));
  const ended = idle.map((each) => once(each, "close"));
  await Promise.all(idle.map((each) => once(each, "connect")));
  await expect(ask("echo", 1)).rejects.toThrow(/it closed the connection|ECONNRESET|EPIPE/);
  await new Promise((resolve) => setTimeout(resolve, 150));
  idle[0].write('{"method":"echo"}\n');
  await once(idle[0], "data");
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(await ask("echo", 1)).toBe(1);
  await ended[1];
  expect(idle[0].destroyed).toBe(false);
  for (const each of idle) each.destroy();
});

test("another user is sent away, even when modes let that one in", async () => {
  // Only root can be another user for a moment.
  if (process.geteuid!() !== 0) return;
  const path = join(directory, "control.sock");
  chmodSync(directory, 0o755);
  chmodSync(path, 0o666);
  // The kernel notes who connects, at that moment.
  process.seteuid!(65_534);
  const socket = createConnection(path);
  process.seteuid!(0);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(JSON.parse(answer.toString())).toMatchObject({ error: { code: "forbidden" } });
  // What it says after that, nobody hears.
  socket.write('{"method":"echo"}\n'.repeat(10_000));
  socket.end();
  await once(socket, "close");
});

test("a client that leaves at once does no harm", async () => {
  for (let i = 0; i < 50; i++)
    createConnection(join(directory, "control.sock"))
      .on("error", () => {})
      .destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await ask("echo", 1)).toBe(1);
});
