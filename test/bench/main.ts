// `make bench`: compares a direct veth pair, bucatini, pasta and slirp4netns in one run. The process that is started
// puts itself into new user, network, mount and PID namespaces and works there, so that everything it starts ends with it
// and no traffic can leave; this first process only waits.
import { spawn } from "node:child_process";
import { accessSync, constants, mkdirSync } from "node:fs";
import { Socket } from "node:net";
import { parseOptions, USAGE } from "./options.ts";
import { runBench } from "./runner.ts";

const INSIDE = "--inside";
/** The pipe whose end tells the inner process that the outer one is gone. */
const LIFELINE = 3;

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  if (words[0] === INSIDE) {
    new Socket({ fd: LIFELINE }).resume().once("close", () => {
      if (!process.emit("SIGTERM", "SIGTERM")) process.exit(130);
    });
    return runBench(parseOptions(words.slice(1), process.env));
  }
  const { out, list, help } = parseOptions(words, process.env);
  if (help) {
    console.log(USAGE);
    return 0;
  }
  if (!list) mkdirSync(out, { recursive: true });
  if (!list) accessSync(out, constants.W_OK);
  // The default has the time in it and must be the same inside.
  process.env["OUT"] = out;
  return inNamespaces([INSIDE, ...words]);
}

/** Goes on with a higher limit of open files where we may raise it: each forwarded port is one. */
const MORE_FILES = ["sh", "-c", 'ulimit -n 65536 2>/dev/null; exec "$@"', "sh"];

async function inNamespaces(words: readonly string[]): Promise<number> {
  const kinds = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
  ];
  const node = [process.execPath, "--import", "tsx", new URL(import.meta.url).pathname];
  const [file = "", ...rest] = [...MORE_FILES, "unshare", ...kinds, "--", ...node, ...words];
  const child = spawn(file, rest, {
    stdio: ["ignore", "inherit", "inherit", "pipe"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => child.stdio[LIFELINE]?.destroy());
  }
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(new Error("cannot start unshare (package util-linux)", { cause })));
    child.once("exit", (code) => resolve(code ?? 130));
  });
}

try {
  // The lifeline would keep the process.
  process.exit(await main());
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
