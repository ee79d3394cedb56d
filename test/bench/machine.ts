// What a figure depends on besides the subjects: kernel, processors, TCP settings, versions.
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release } from "node:os";
import type { Options } from "./options.ts";
import { run } from "./process.ts";

export async function describeMachine(options: Options): Promise<Record<string, string>> {
  return {
    kernel: release(),
    processors: `${availableParallelism()} x ${cpus()[0]?.model ?? "unknown"}, shared by client, server and engine`,
    "load average before": readFileSync("/proc/loadavg", "utf8").split(" ").slice(0, 3).join(" "),
    "congestion control": `${setting("tcp_available_congestion_control")} (default ${setting("tcp_congestion_control")})`,
    tcp_wmem: setting("tcp_wmem"),
    tcp_rmem: setting("tcp_rmem"),
    node: process.version,
    iperf3: await version(["iperf3", "--version"]),
    bucatini: options.subjects.includes("bucatini")
      ? await bucatiniVersion(options.bucatini)
      : "not measured",
    pasta: options.subjects.includes("pasta") ? await pastaVersion(options.pasta) : "not measured",
    slirp4netns: options.subjects.includes("slirp4netns")
      ? await version([options.slirp4netns, "--version"])
      : "not measured",
  };
}

/** Can `command` be started? */
export async function isInstalled(command: string): Promise<boolean> {
  if (command.includes("/")) return existsSync(command);
  return run(["sh", "-c", 'command -v "$1"', "sh", command]).then(
    () => true,
    () => false,
  );
}

/** bbr when the kernel has it, else reno. */
export function secondControl(): "bbr" | "reno" {
  return setting("tcp_available_congestion_control").split(" ").includes("bbr") ? "bbr" : "reno";
}

async function version(argv: readonly string[]): Promise<string> {
  const output = await run(argv).catch((error: unknown) => ({
    stdout: `unknown: ${String(error)}`,
    stderr: "",
  }));
  return firstLine(output.stdout) || firstLine(output.stderr);
}

/** With the revision of the source tree, when git tells it. */
async function bucatiniVersion(path: string): Promise<string> {
  const revision = await run(["git", "describe", "--always", "--dirty"]).then(
    ({ stdout }) => `, source ${stdout.trim()}`,
    () => "",
  );
  return (await version([path, "--version"])) + revision;
}

/** Debian's pasta of 2023 does not know its version, the package does. */
async function pastaVersion(path: string): Promise<string> {
  const own = await version([path, "--version"]);
  if (path !== "pasta" || !own.includes("unknown")) return own;
  return `${own}, Debian ${await version(["dpkg-query", "--show", "passt"])}`;
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]?.replaceAll(/\s+/g, " ") ?? "";
}

function setting(name: string): string {
  return readFileSync(`/proc/sys/net/ipv4/${name}`, "utf8").trim().replaceAll(/\s+/g, " ");
}
