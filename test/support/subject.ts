/**
 * The system under test: bucatini as built. To check the tests themselves, SUBJECT=pasta takes Debian's pasta, which
 * shares the option names the tests use, and SUBJECT=kernel no engine at all: the "container" then is in "outside",
 * and only the host alias and the DNS address must fail.
 */
import type { Network } from "./network.ts";
import type { Space } from "./space.ts";
import type { Stage } from "./stage.ts";

type Subject = "bucatini" | "pasta" | "kernel";
export const SUBJECT: Subject = (process.env["SUBJECT"] as Subject | undefined) ?? "bucatini";

/** The words before a container's command. */
export function subjectCommand(stage: Stage, options: readonly string[]): string {
  const words = options.join(" ");
  if (SUBJECT === "bucatini") return `${stage.bucatini} run ${words} --`;
  if (SUBJECT === "kernel") return "unshare -umpif --mount-proc --kill-child";
  // This pasta shares the host's mount namespace and leaves MTU 65520, which fragmentation tests cannot use.
  // It forwards what it finds unless it is told not to.
  const closed = ["-t", "-u", "-T", "-U"].filter((option) => !options.includes(option));
  return `pasta --config-net --mtu 1500 ${words} ${closed.map((option) => `${option} none`).join(" ")} -- unshare --mount --mount-proc`;
}

/** Status and log tails, for the message of a failure. */
export async function subjectReport(user: Space, stage: Stage): Promise<string> {
  if (SUBJECT !== "bucatini") return "";
  const ended = await user.attempt(
    `${stage.bucatini} list; ${stage.bucatini} status; find $XDG_RUNTIME_DIR -name '*log*' -exec tail -n 40 {} +`,
    { seconds: 10 },
  );
  return ended.stdout + ended.stderr;
}

/** What the engine holds. */
export interface EngineState {
  readonly flows: number;
  readonly descriptors: number;
  /** Private memory in KiB. */
  readonly privateKiB: number;
}

/** Reads the engine's state from its own status and from the kernel. */
export async function engineState(net: Network): Promise<EngineState> {
  const pid = await enginePid(net);
  const flows = SUBJECT !== "bucatini" ? 0 : (await engineStatus(net)).flows.total;
  const kernel = await net.outside.run(
    `ls /proc/${pid}/fd | wc -l; awk '/^Private/ { sum += $2 } END { print sum }' /proc/${pid}/smaps_rollup`,
  );
  const [descriptors, privateKiB] = kernel.trim().split("\n").map(Number);
  return { flows, descriptors: descriptors ?? Number.NaN, privateKiB: privateKiB ?? Number.NaN };
}

/** The engine's process id as seen in "outside". */
export async function enginePid(net: Network): Promise<number> {
  if (SUBJECT !== "bucatini") return Number(await net.outside.run("pgrep -o -x 'pasta|unshare'"));
  return (await engineStatus(net)).pid;
}

interface EngineStatus {
  readonly pid: number;
  readonly flows: { readonly total: number };
}

async function engineStatus(net: Network): Promise<EngineStatus> {
  return JSON.parse(await net.user.run(`${net.stage.bucatini} status --json`)) as EngineStatus;
}
