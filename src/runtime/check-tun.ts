/** Whether TAP devices can be made here, asked before anything else is. */
import { accessSync, constants, statSync } from "node:fs";
import { AppError, errorCode } from "../base/errors.ts";

const TUN = "/dev/net/tun";
/** Major 10, minor 200. @see linux/miscdevice.h */
const TUN_DEVICE = 10 * 256 + 200;

/** Throws NO_TUN. */
export function checkTun(path = TUN): void {
  let isTun: boolean;
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    isTun = statSync(path).rdev === TUN_DEVICE;
  } catch (cause) {
    const why =
      errorCode(cause) === "ENOENT"
        ? `it does not exist; load the module with "modprobe tun" as root`
        : `permission denied; let everybody use it with "chmod 0666 ${path}" as root, as distributions do`;
    throw new AppError("NO_TUN", `cannot open ${path}, which makes the container's interface: ${why}`, {
      cause,
    });
  }
  if (isTun) return;
  throw new AppError(
    "NO_TUN",
    `cannot use ${path}, which makes the container's interface: it is not the TUN device; replace it with "mknod ${path} c 10 200" as root`,
  );
}
