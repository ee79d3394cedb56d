/** What this machine lets us do, tried for real wherever that leaves nothing behind. */
import { spawnSync } from "node:child_process";
import { closeSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { AppError } from "../base/errors.ts";
import { hasPeekOffset } from "../kernel/peek.ts";
import { descriptorLimit } from "../kernel/process.ts";
import { mayListen, openPing } from "../kernel/socket.ts";
import { hasSegmentationOffload } from "../kernel/tap.ts";
import { NetnsWatch } from "../kernel/watch.ts";
import { checkTun } from "./check-tun.ts";
import { whyNoNamespaces } from "./container.ts";
import { type Finding, finding } from "./finding.ts";
import { installedFile } from "./installation.ts";
import type { TapProbe } from "./probe-main.ts";
import { hasSysAdmin } from "./process-info.ts";
import { checkStateRoot } from "./state-directory.ts";
import { findProgram, requireTool } from "./tools.ts";

/** Each connection is a descriptor or more. */
const WANTED_FILES = 16_384;
/** Pages in the large pipes of an engine: 16 of 1 MiB. */
const WANTED_PIPE_PAGES = 4096;

/** All of them, in the order in which a person would ask. */
export function machineFindings(): Finding[] {
  return [
    finding("versions", "ok", `Linux ${release()} on ${process.arch}, Node.js ${process.versions.node}`),
    ...namespaces(),
    stateDirectory(),
    peekOffsets(),
    ping(),
    lowPorts(),
    openFiles(),
    pipePages(),
    inotify(),
  ];
}

/** User namespaces and a TAP device, in a namespace that goes with the process that is started in it. */
function namespaces(): Finding[] {
  const missing = ["unshare", "nsenter"].find((name) => findProgram(name, process.env["PATH"]) === undefined);
  if (missing !== undefined) {
    const remedy = "install the package util-linux";
    return [finding("util-linux", "problem", `the program ${missing} is missing; ${remedy}`)];
  }
  const user = { user: true, pid: false };
  const own = spawnSync(
    requireTool("unshare"),
    ["-Urn", "--", process.execPath, installedFile("probe.cjs")],
    {
      encoding: "utf8",
    },
  );
  if (own.status === 0) {
    return [finding("user namespaces", "ok", "can be made"), tapDevice(own.stdout)];
  }
  const why = whyNoNamespaces(own.stderr, user).message;
  if (!hasSysAdmin()) return [finding("user namespaces", "problem", why)];
  // Containers of root need none.
  const root = spawnSync(requireTool("unshare"), ["-n", "--", process.execPath, installedFile("probe.cjs")], {
    encoding: "utf8",
  });
  const level = root.status === 0 ? "warning" : "problem";
  const first = finding("user namespaces", level, why);
  return root.status === 0 ? [first, tapDevice(root.stdout)] : [first];
}

/** @param output what probe-main.ts printed */
function tapDevice(output: string): Finding {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own program wrote it
  const { offloads = 0, error } = JSON.parse(output) as TapProbe;
  const problem = whyNot(checkTun) ?? error;
  if (problem !== undefined) return finding("TAP device", "problem", problem);
  const { tcp, udp } = hasSegmentationOffload(offloads);
  if (tcp && udp) return finding("TAP device", "ok", "can be made; the kernel cuts segments of TCP and UDP");
  const slow = tcp ? "UDP, so that is" : "TCP and UDP, so both are";
  const text = `can be made, but the kernel does not cut segments of ${slow} slower; Linux 6.2 or newer does`;
  return finding("TAP device", "warning", text);
}

function stateDirectory(): Finding {
  let where = "";
  const problem = whyNot(() => (where = checkStateRoot()));
  return finding("state directory", problem === undefined ? "ok" : "problem", problem ?? where);
}

/** The message of the AppError that a check throws; undefined when it throws none. */
function whyNot(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error.message;
    throw error;
  }
}

function peekOffsets(): Finding {
  const lacking = [false, true].filter((v6) => !hasPeekOffset(v6)).map((v6) => (v6 ? "IPv6" : "IPv4"));
  if (lacking.length === 0) return finding("SO_PEEK_OFF", "ok", "for TCP over IPv4 and IPv6");
  const text = `missing for TCP over ${lacking.join(" and ")}, so transfers to containers are slower; Linux 6.9 or newer has it`;
  return finding("SO_PEEK_OFF", "warning", text);
}

function ping(): Finding {
  const fd = openPing(false);
  if (fd >= 0) {
    closeSync(fd);
    return finding("ping", "ok", "allowed");
  }
  const remedy = 'sysctl -w net.ipv4.ping_group_range="0 2147483647"';
  return finding(
    "ping",
    "warning",
    `containers cannot ping, as no group of yours may; allow it with ${remedy}`,
  );
}

function lowPorts(): Finding {
  if (mayListen(1)) return finding("ports", "ok", "all may be listened on");
  const first = sysctl("net/ipv4/ip_unprivileged_port_start") ?? 1024;
  const text = `from ${first} on may be listened on; for lower ones: sysctl net.ipv4.ip_unprivileged_port_start=80, or socket units of systemd`;
  return finding("ports", "ok", text);
}

function openFiles(): Finding {
  const limit = descriptorLimit();
  if (limit >= WANTED_FILES) return finding("open files", "ok", `up to ${limit}`);
  const text = `up to ${limit}, so a container has fewer connections and ports at the same time; raise the hard limit of nofile (limits.conf, LimitNOFILE=)`;
  return finding("open files", "warning", text);
}

function pipePages(): Finding {
  const pages = sysctl("fs/pipe-user-pages-soft") ?? 0;
  if (pages === 0 || pages >= WANTED_PIPE_PAGES) return finding("pipes", "ok", "enough memory");
  const text = `${pages} pages of memory for all of yours, so connections between loopbacks are slower; raise fs.pipe-user-pages-soft to ${WANTED_PIPE_PAGES} or more`;
  return finding("pipes", "warning", text);
}

/** Watches the root directory, in which nothing will happen. */
function inotify(): Finding {
  const watch = new NetnsWatch({ id: "", path: "/bucatini" });
  const works = watch.fd >= 0;
  watch.close();
  if (works) return finding("inotify", "ok", "works");
  const limits = ["instances", "watches"].map((what) => `fs.inotify.max_user_${what}`).join(" and ");
  const text = `no watch can be had, so engines see a second later that a namespace is gone; raise ${limits}`;
  return finding("inotify", "warning", text);
}

/** A number of /proc/sys; undefined where this kernel has none. */
function sysctl(name: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/sys/${name}`, "utf8"));
  } catch {
    return undefined;
  }
}
