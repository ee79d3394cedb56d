/**
 * Calls CNI plugins as libcni does. The network list comes on standard input, everything else in variables:
 *
 *   cni-caller VERB             add, check, del, gc, status
 *   CNI_PATH, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS   as plugins get them
 *   CAPABILITIES                JSON: what the runtime asks for, by capability
 *   CACHE                       directory that results of ADD are kept in
 *   VALID                       for gc: words CONTAINERID/IFNAME
 *
 * Plugins get name and version of the list, what of CAPABILITIES they declare, and the result so far: of the plugin
 * before on ADD, of the last one on CHECK, and on DEL too as long as it is in the cache and the version is 0.4.0 or
 * newer. A plugin that breaks the rules (nothing or more than one document on standard output, an error with status 0,
 * an output that is still open a second after its end) is a failure of its own. Prints what it did: one line for each
 * plugin that failed, and the result of ADD.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Plugin {
  type: string;
  capabilities?: Record<string, boolean>;
}

interface List {
  cniVersion: string;
  name: string;
  plugins: Plugin[];
}

const verb = process.argv[2] ?? "";
const list = JSON.parse(readFileSync(0, "utf8")) as List;
const variable = (name: string): string => process.env[name] ?? "";
const cache = join(
  variable("CACHE"),
  `${list.name}-${variable("CNI_CONTAINERID")}-${variable("CNI_IFNAME")}`,
);
const capabilities = JSON.parse(variable("CAPABILITIES") || "{}") as Record<string, unknown>;
const OPEN_AFTER_END_MS = 1000;

const isAtLeast = (minor: number): boolean => {
  const [major, second] = list.cniVersion.split(".").map(Number);
  return (major ?? 0) > 0 || (second ?? 0) >= minor;
};

function find(type: string): string {
  const paths = variable("CNI_PATH")
    .split(":")
    .map((directory) => join(directory, type));
  const path = paths.find((each) => statSync(each, { throwIfNoEntry: false })?.isFile());
  if (path === undefined) throw new Error(`no plugin ${type}`);
  return path;
}

function call(plugin: Plugin, more: Record<string, unknown>): Promise<string> {
  const declared = Object.entries(capabilities).filter(([key]) => plugin.capabilities?.[key] === true);
  const config = {
    ...plugin,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(declared.length > 0 && { runtimeConfig: Object.fromEntries(declared) }),
    ...more,
  };
  const child = spawn(find(plugin.type), {
    env: { ...process.env, CNI_COMMAND: verb.toUpperCase() },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(JSON.stringify(config));
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += chunk));
  child.stderr.on("data", (chunk) => (stderr += chunk));
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${plugin.type} ${verb}: ${why}`));
    child.on("error", reject);
    child.on("exit", () => {
      setTimeout(() => fail("its output is held open"), OPEN_AFTER_END_MS).unref();
    });
    child.on("close", (status) => {
      if (status === 0) resolve(stdout);
      else fail(explain(stdout, stderr));
    });
  });
}

function explain(stdout: string, stderr: string): string {
  if (stdout === "") return `no error message: ${stderr}`;
  const { code, msg, details } = JSON.parse(stdout) as { code: number; msg: string; details?: string };
  return `${code} ${msg}${details === undefined ? "" : `; ${details}`}`;
}

async function add(): Promise<void> {
  let result: unknown;
  for (const plugin of list.plugins) {
    const text = await call(plugin, result === undefined ? {} : { prevResult: result });
    const document = JSON.parse(text) as Record<string, unknown>;
    if ("code" in document) throw new Error(`${plugin.type} add: an error with status 0`);
    result = document;
  }
  mkdirSync(variable("CACHE"), { recursive: true });
  writeFileSync(cache, JSON.stringify(result));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

const cached = (): Record<string, unknown> =>
  existsSync(cache) && isAtLeast(4) ? { prevResult: JSON.parse(readFileSync(cache, "utf8")) } : {};

async function del(): Promise<void> {
  for (const plugin of list.plugins.toReversed()) await call(plugin, cached());
  rmSync(cache, { force: true });
}

async function gc(): Promise<void> {
  const valid = variable("VALID")
    .split(" ")
    .filter((word) => word !== "");
  const attachments = valid.map((word) => {
    const [containerID, ifname] = word.split("/");
    return { containerID, ifname };
  });
  // An empty list of Go is null in JSON.
  const sent = attachments.length === 0 ? null : attachments;
  const keys = { "cni.dev/valid-attachments": sent, "cni.dev/attachments": sent };
  for (const plugin of list.plugins) await call(plugin, keys);
}

async function all(more: Record<string, unknown>): Promise<void> {
  for (const plugin of list.plugins) await call(plugin, more);
}

const verbs: Readonly<Record<string, () => Promise<void>>> = {
  add,
  del,
  gc,
  check: () => all(cached()),
  status: () => all({}),
};

try {
  await verbs[verb]?.();
} catch (error) {
  process.stdout.write(`failed: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
