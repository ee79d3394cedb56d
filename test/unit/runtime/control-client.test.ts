import { expect, test } from "@jest/globals";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { requestEngine, stopEngine } from "../../../src/runtime/control-client.ts";
import { startTime } from "../../../src/runtime/process-info.ts";
import { claimStateDirectory, type FoundEngine, writeState } from "../../../src/runtime/state-directory.ts";
import { useRuntimeDirectory } from "../../support/runtime-directory.ts";

useRuntimeDirectory();

/** Runs `body` with an engine that somebody has taken over: it answers as `answer` does, and a process that only sleeps. */
async function withEngine(
  answer: (client: Socket) => void,
  body: (engine: FoundEngine) => Promise<void>,
): Promise<void> {
  const { directory, state } = claimStateDirectory("1.0.0", "one", true, { kind: "run" });
  const child = spawn("sleep", ["60"]);
  const engine = { directory, state: { ...state, pid: child.pid!, startTime: startTime(child.pid!)! } };
  writeState(directory, engine.state);
  const server = createServer((client) => {
    client.on("error", () => client.destroy());
    answer(client);
  });
  server.listen(join(directory, "control.sock"));
  await once(server, "listening");
  try {
    await body(engine);
  } finally {
    child.kill("SIGKILL");
    server.close();
  }
}

test.each(["no JSON", "null", '{"error":1}', ""])(
  "an engine that answers %j is ended all the same",
  async (text) => {
    await withEngine(
      (client) => client.end(`${text}\n`),
      async (engine) => {
        await expect(requestEngine(engine, "status")).rejects.toMatchObject({ code: "ENGINE_FAILED" });
        await stopEngine(engine);
        expect(existsSync(engine.directory)).toBe(false);
      },
    );
  },
);

test("an answer without an end is given up, not collected", async () => {
  const chunk = "x".repeat(1024 * 1024);
  const pour = (client: Socket): void => {
    while (client.writable && client.write(chunk));
    client.once("drain", () => pour(client));
  };
  await withEngine(pour, async (engine) => {
    await expect(requestEngine(engine, "status")).rejects.toThrow("it has over 16777216 characters");
  });
});
