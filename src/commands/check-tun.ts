/** Whether TAP devices can be made here, asked before anything else is. */
import { accessSync, constants } from "node:fs";
import { AppError, errorCode } from "../base/errors.ts";

const TUN = "/dev/net/tun";

/** Throws NO_TUN. */
export function checkTun(path = TUN): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
  } catch (cause) {
    const why =
      errorCode(cause) === "ENOENT"
        ? `it does not exist; load the module with "modprobe tun" as root`
        : `permission denied; let everybody use it with "chmod 0666 ${path}" as root, as distributions do`;
    throw new AppError("NO_TUN", `cannot open ${path}, which makes the container's interface: ${why}`, {
      cause,
    });
  }
}
