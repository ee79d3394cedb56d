/** The OCI hook: what a container's state asks for, and how a call ends. */
import { isSwitchedOff } from "../oci/annotations.ts";
import { parseOciState, type OciState } from "../oci/state.ts";
import { attachmentId, endAttachment } from "./attachment.ts";
import { readInput } from "./input.ts";
import { keepOneStateRoot } from "./one-state-root.ts";
import { report } from "./output.ts";

/** Statuses in which a process holds the container's namespaces. */
const HAS_PROCESS = ["creating", "created", "running"];

/** Gives the exit status. */
export async function hook(environment: NodeJS.ProcessEnv): Promise<number> {
  keepOneStateRoot(environment);
  try {
    const state = parseOciState(await readInput());
    if (isSwitchedOff(state.annotations ?? {})) return 0;
    // A hook makes only one interface, and names none.
    const attachment = { containerId: state.id, ifname: "" };
    if (state.status === "stopped") await endAttachment(attachment);
    else if (hasProcess(state))
      await (await import("./hook-start.ts")).start(state, attachmentId(attachment));
    return 0;
  } catch (error) {
    return report(error);
  }
}

const hasProcess = (state: OciState): state is OciState & { pid: number } =>
  state.pid !== undefined && HAS_PROCESS.includes(state.status);
