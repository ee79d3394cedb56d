/** CNI STATUS: tells whether ADD could be served. */
import { AppError } from "../base/errors.ts";
import type { CniRequest } from "../cni/dispatch.ts";
import { CniCode, CniError } from "../cni/errors.ts";
import { readWanted } from "../cni/wanted.ts";
import { ephemeralPorts } from "../runtime/ephemeral-ports.ts";
import { hasSysAdmin } from "../runtime/process-info.ts";
import { checkStateRoot } from "../runtime/state-directory.ts";
import { requireTool } from "../runtime/tools.ts";
import { checkTun } from "../runtime/check-tun.ts";
import { ipamCall } from "./cni-ipam.ts";

/** Throws ConfigError or CniError. */
export async function status(request: CniRequest): Promise<void> {
  const { ipam } = readWanted(request, ephemeralPorts());
  try {
    checkTun();
    checkStateRoot();
    // Without privilege of our own, it takes us to where we have it.
    if (!hasSysAdmin()) requireTool("nsenter");
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    throw new CniError(CniCode.NotAvailable, "containers cannot be connected", cause.message);
  }
  if (ipam !== undefined) await ipamCall(request, ipam, "STATUS");
}
