/** Which engine belongs to which attachment. */
import { createHash } from "node:crypto";
import type { Attachment } from "../cni/environment.ts";

/** Container ids are often 64 characters; these many are for people who read the list of engines. */
const READABLE_LENGTH = 24;
const DIGEST_LENGTH = 16;

/** The identifier of the engine of one interface of one container. Needs nothing else, because DEL may have nothing else. */
export function attachmentId({ containerId, ifname }: Pick<Attachment, "containerId" | "ifname">): string {
  // A slash can be in neither, so different attachments never read the same.
  const digest = createHash("sha256").update(`${containerId}/${ifname}`).digest("hex");
  return `${containerId.slice(0, READABLE_LENGTH)}-${digest.slice(0, DIGEST_LENGTH)}`;
}
