/** The host's resolv.conf, and the one for a container. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { errorCode } from "../base/errors.ts";
import { formatResolvConf, parseResolvConf, type ResolvConf } from "../config/resolv-conf.ts";

/** What the host's resolv.conf says now; one that cannot be read is like an empty one, as for libc. */
export function readResolvConf(path = "/etc/resolv.conf"): ResolvConf {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "EACCES") throw error;
  }
  return parseResolvConf(text);
}

/**
 * Writes a new resolv.conf with these resolvers and the host's search list; everybody inside may read it. Throws what
 * node:fs throws.
 */
export function writeResolvConf(path: string, nameservers: readonly string[]): void {
  writeFileSync(path, formatResolvConf(readResolvConf(), nameservers), { flag: "wx" });
  // Whatever the umask of our caller is.
  chmodSync(path, 0o644);
}
