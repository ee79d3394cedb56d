/** Which engine belongs to which container, for runtimes that name containers and know no engines. */
import { createHash } from "node:crypto";
import type { Attachment } from "../cni/environment.ts";
import { stopEngine } from "../runtime/control-client.ts";
import { listEngines, type FoundEngine } from "../runtime/state-directory.ts";

/** Container ids are often 64 characters; these many are for people who read the list of engines. */
const READABLE_LENGTH = 24;
const DIGEST_LENGTH = 16;

/** What is needed to find an engine again: DEL may have nothing else. */
type AttachmentName = Pick<Attachment, "containerId" | "ifname">;

/** The identifier of the engine of one interface of one container. A hook makes only one, and names none. */
export function attachmentId({ containerId, ifname }: AttachmentName): string {
  // A slash can be in neither, so different attachments never read the same.
  const digest = createHash("sha256").update(`${containerId}/${ifname}`).digest("hex");
  const readable = containerId.replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9._-]/g, "").slice(0, READABLE_LENGTH);
  return [readable, digest.slice(0, DIGEST_LENGTH)].filter((word) => word !== "").join("-");
}

/** The running engines of an attachment: one, unless roots of state were changed in between. */
export function enginesOf(name: AttachmentName): FoundEngine[] {
  const id = attachmentId(name);
  return listEngines().filter(({ state }) => state.id === id);
}

/** Returns when the engine is gone; one that is unknown is gone already. Throws AppError. */
export async function endAttachment(name: AttachmentName): Promise<void> {
  await Promise.all(enginesOf(name).map(stopEngine));
}
