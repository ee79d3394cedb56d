/** CNI GC: ends what is left of attachments that nobody knows any more. */
import type { CniRequest } from "../cni/dispatch.ts";
import { attachmentKey, validAttachments } from "../cni/valid-attachments.ts";
import { checkCniConfig, ipamType } from "../config/cni-config.ts";
import { stopEngine } from "../runtime/control-client.ts";
import { listEngines } from "../runtime/state-directory.ts";
import { ipamCall } from "./cni-ipam.ts";

/** Only engines of this network. Throws ConfigError, CniError or AppError. */
export async function gc(request: CniRequest): Promise<void> {
  const config = checkCniConfig(request.config);
  const valid = validAttachments(request.config);
  const stale = listEngines().filter(({ state: { attachment, phase } }) => {
    // One that starts belongs to an ADD, whose end the list cannot know.
    if (attachment?.network !== config.name || phase === "starting") return false;
    return !valid.has(attachmentKey(attachment.containerId, attachment.ifname));
  });
  await Promise.all(stale.map(stopEngine));
  const ipam = ipamType(config);
  if (ipam !== undefined) await ipamCall(request, ipam, "GC");
}
