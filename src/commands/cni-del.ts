/** CNI DEL: ends the engine of an attachment. Asks for nothing but container and interface. */
import type { CniRequest } from "../cni/dispatch.ts";
import { endAttachment } from "./attachment.ts";
import { findPlugin, ipamCall } from "./cni-ipam.ts";
import { tell } from "./output.ts";

/** A container whose DEL fails cannot be removed, so nothing in the configuration is a reason to. Throws CniError or AppError. */
export async function del(request: CniRequest): Promise<void> {
  await endAttachment(request);
  const type = ipamName(request.config["ipam"]);
  if (type === undefined) return;
  // Without the plugin nothing can be given back, and what it wrote down will still be there when it comes again.
  if (findPlugin(request, type) === undefined) {
    tell(`cannot give the addresses back: CNI_PATH has no IPAM plugin ${type}`);
    return;
  }
  await ipamCall(request, type, "DEL");
}

/** Undefined for none, and for what cannot be the name of a file. */
function ipamName(ipam: unknown): string | undefined {
  if (typeof ipam !== "object" || ipam === null || !("type" in ipam)) return undefined;
  const { type } = ipam;
  return typeof type === "string" && /^(?!\.\.?$)[^/]+$/.test(type) ? type : undefined;
}
