/** The OCI hook: what a container's state asks for, and how a call ends. */
import { text } from "node:stream/consumers";
import { parseArguments } from "../config/command-line.ts";
import { forwardingResolvers } from "../config/resolv-conf.ts";
import { argumentsOf } from "../oci/annotations.ts";
import { parseOciState, type OciState } from "../oci/state.ts";
import { attachmentId, endAttachment } from "./attachment.ts";
import { connect } from "./connect.ts";
import { keepOneStateRoot } from "./one-state-root.ts";
import { HOOK_OPTIONS, hookRequest } from "./options.ts";
import { report } from "./output.ts";

/** Statuses in which a process holds the container's namespaces. */
const HAS_PROCESS = ["creating", "created", "running"];

/** Gives the exit status. */
export async function hook(environment: NodeJS.ProcessEnv): Promise<number> {
  keepOneStateRoot(environment);
  try {
    const state = parseOciState(await text(process.stdin));
    if (state.status === "stopped") await endAttachment(attachment(state));
    else if (state.pid !== undefined && HAS_PROCESS.includes(state.status)) await start(state, state.pid);
    return 0;
  } catch (error) {
    return report(error);
  }
}

const attachment = ({ id }: OciState): { containerId: string; ifname: string } => ({
  containerId: id,
  ifname: "",
});

async function start(state: OciState, pid: number): Promise<void> {
  // As for the CNI plugin: nobody reaches the host's loopback unless an annotation says so.
  const words = ["--no-map-gw", ...argumentsOf(state.annotations ?? {}, HOOK_OPTIONS)];
  const parsed = parseArguments(words, HOOK_OPTIONS);
  const asked = hookRequest(parsed, attachmentId(attachment(state)), pid);
  await connect(asked, forwardingResolvers(asked.network), () => undefined);
}
