/** Started in new namespaces: makes a TAP device there, and prints what came of it as JSON. */
import { AppError } from "../base/errors.ts";
import { openTap, type Tap } from "../kernel/tap.ts";

/** Either the TUN_F_* bits of the device's offloads, or why there is no device. */
export interface TapProbe {
  offloads?: number;
  error?: string;
}

function probe(): TapProbe {
  let tap: Tap;
  try {
    tap = openTap("probe0", { wantOffload: true });
  } catch (error) {
    if (error instanceof AppError) return { error: error.message };
    throw error;
  }
  return { offloads: tap.offloads };
}

console.log(JSON.stringify(probe()));
