/** The OCI hook before the container's program runs, or while it does: connects the container once. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { AppError } from "../base/errors.ts";
import { parseArguments } from "../config/command-line.ts";
import { forwardingResolvers, listedResolvers } from "../config/resolv-conf.ts";
import { argumentsOf } from "../oci/annotations.ts";
import { joinedNetns, mountOverResolvConf, parseBundle } from "../oci/bundle.ts";
import type { OciState } from "../oci/state.ts";
import { READY_TIMEOUT_MS } from "../runtime/engine-process.ts";
import { whyNotRead } from "../runtime/file-failure.ts";
import { writeResolvConfBelow } from "../runtime/rootfs.ts";
import { listEngines } from "../runtime/state-directory.ts";
import { connect } from "./connect.ts";
import { type AttachRequest, HOOK_OPTIONS, runtimeRequest } from "./options.ts";

const POLL_MS = 20;

/** That of a container with a process. */
type StartedState = OciState & { pid: number };

/**
 * Connects the container's network namespace, unless an engine serves it already: this hook may be called at more than
 * one stage, and containers may share a namespace. Throws AppError.
 */
export async function start(state: StartedState, name: string): Promise<void> {
  const words = argumentsOf(state.annotations ?? {}, HOOK_OPTIONS);
  // As for the CNI plugin: nobody reaches the host's loopback unless an annotation says so.
  if (!words.includes("--splice-only")) words.unshift("--no-map-gw");
  const parsed = parseArguments(words, HOOK_OPTIONS);
  const asked = runtimeRequest(parsed, name, { pid: state.pid });
  const root = parsed.values.has("resolv-conf") ? rootForResolvConf(state) : undefined;
  try {
    await connectOnce(asked, state, root);
  } catch (error) {
    await logFailure(asked.process.logFile, name, error);
    throw error;
  }
}

async function connectOnce(
  asked: AttachRequest,
  state: StartedState,
  root: string | undefined,
): Promise<void> {
  try {
    await connectAnyhow(asked, state, root);
  } catch (error) {
    const engine = error instanceof AppError ? error.details?.["servedBy"] : undefined;
    if (typeof engine !== "string" || !(await isReady(engine))) throw error;
  }
}

/** By its process, or by the path of the namespace that it has joined where runtimes hide the process. */
async function connectAnyhow(
  asked: AttachRequest,
  state: StartedState,
  root: string | undefined,
): Promise<void> {
  const attempt = (more: Partial<AttachRequest>): Promise<void> =>
    connect({ ...asked, ...more, outside: { ports: true } }, forwardingResolvers(asked.network), async () => {
      if (root !== undefined) await writeResolvConfBelow(root, listedResolvers(asked.network));
    });
  try {
    await attempt({});
  } catch (error) {
    if (!isHidden(error, state)) throw error;
    const netns = joinedNetns(readBundle(state));
    if (netns === undefined) throw hidden(error);
    // crun waits for the end of whatever its hooks have started: an engine must not outlive the container.
    await attempt({ target: { netns }, holder: state.pid });
  }
}

/** crun makes the container's first process not dumpable (prctl(2)): until it has become the program, only root sees into it. */
const isHidden = (error: unknown, { status }: OciState): boolean =>
  error instanceof AppError && error.code === "TARGET_FORBIDDEN" && status !== "running";

const hidden = (cause: unknown): AppError =>
  new AppError(
    "TARGET_FORBIDDEN",
    "cannot enter the container's network namespace yet: crun hides the container's process from its own user until " +
      "the program has started; name the hook in poststart instead of createRuntime, or name a network namespace by " +
      "path in config.json, or start crun inside a user namespace",
    { cause },
  );

/** Waits while the engine of this identifier starts; false when it comes to nothing. */
async function isReady(id: string): Promise<boolean> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const engine = listEngines().find(({ state }) => state.id === id);
    if (engine === undefined || engine.state.phase === "running") return engine !== undefined;
    if (performance.now() > deadline) return false;
    // oxlint-disable-next-line no-await-in-loop
    await new Promise((wake) => setTimeout(wake, POLL_MS));
  }
}

/** Throws USAGE. */
function readBundle({ bundle = "." }: OciState): ReturnType<typeof parseBundle> {
  const path = join(bundle, "config.json");
  try {
    return parseBundle(readFileSync(path, "utf8"));
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError("USAGE", `cannot read ${path}: ${whyNotRead(cause)}; the container's state names it`, {
      cause,
    });
  }
}

/** The directory that holds the root file system. Throws USAGE when a file that we write there would not be seen. */
function rootForResolvConf(state: OciState): string {
  const bundle = readBundle(state);
  const mount = mountOverResolvConf(bundle);
  if (mount === undefined) return resolve(state.bundle ?? ".", bundle.root.path);
  throw new AppError(
    "USAGE",
    `cannot use the annotation org.bucatini.resolv-conf: something is mounted on ${mount}; leave one of both away`,
  );
}

/** Not every runtime shows what a hook says. */
async function logFailure(logFile: string | undefined, id: string, error: unknown): Promise<void> {
  if (logFile === undefined) return;
  const message = error instanceof Error ? error.message : String(error);
  try {
    const { createLogger } = await import("../log/logger.ts");
    createLogger({ level: "error", destination: logFile }).error(message, { id });
  } catch {
    // It is told on stderr in any case.
  }
}
