/** Gives up system calls and prints, as JSON, what still works. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { EPERM } from "../../../src/ffi/constants.ts";
import { unshare } from "../../../src/ffi/libc.ts";
import { forbidNewPrivileges } from "../../../src/kernel/caps.ts";
import { limitSystemCalls } from "../../../src/kernel/seccomp.ts";

const path = join(tmpdir(), `bucatini-seccomp-${process.pid}`);

/** A line through a Unix socket of our own. */
const talk = (): Promise<string> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.end("hello"));
    server.listen(`${path}.sock`, () => {
      connect(`${path}.sock`).on("data", (data) => {
        server.close();
        resolve(data.toString());
      });
    });
  });

const answerOfWorker = (): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const worker = new Worker("require('worker_threads').parentPort.postMessage('hello')", { eval: true });
    worker.on("message", resolve).on("error", reject);
  });

function codeOf(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : String(error);
  }
}

async function main(): Promise<void> {
  forbidNewPrivileges();
  limitSystemCalls();
  const states = readdirSync("/proc/self/task").map(
    (thread) => /^Seccomp:\s*(\d)/m.exec(readFileSync(`/proc/self/task/${thread}/status`, "utf8"))?.[1],
  );
  const result = {
    threads: [...new Set(states)],
    exec: codeOf(() => execFileSync("true")),
    // Engines of root are all the same user.
    kill: codeOf(() => process.kill(process.pid, 0)),
    unshare: unshare(0) === -EPERM,
    file: codeOf(() => {
      writeFileSync(path, "hello");
      const text = readFileSync(path, "utf8");
      rmSync(path);
      return text;
    }),
    worker: await answerOfWorker(),
    socket: await talk(),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

void main();
