/**
 * Makes the calls of a CNI plugin that come as a JSON list on standard input ({ environment, input } each), two at a
 * time, and prints how each ended: a JSON list of { status, stdout, stderr }. The first argument is the plugin.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

interface Call {
  environment: Record<string, string>;
  input: string;
}

const plugin = process.argv[2] ?? "";
const calls = JSON.parse(readFileSync(0, "utf8")) as Call[];
const ends: unknown[] = [];

function call({ environment, input }: Call): Promise<unknown> {
  const child = spawn(plugin, { env: { PATH: "/usr/local/bin:/usr/bin:/bin", ...environment } });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (chunk) => (stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk) => (stderr += chunk));
  return new Promise((resolve) => {
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

async function work(): Promise<void> {
  for (let next = calls.pop(); next !== undefined; next = calls.pop()) {
    const at = calls.length;
    ends[at] = await call(next);
  }
}

await Promise.all([work(), work()]);
process.stdout.write(JSON.stringify(ends));
