/** The host's resolv.conf, and the one for a container. */
import { readFileSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
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
export async function writeResolvConf(path: string, nameservers: readonly string[]): Promise<void> {
  await writeFile(path, formatResolvConf(readResolvConf(), nameservers), { flag: "wx" });
  // Whatever the umask of our caller is.
  await chmod(path, 0o644);
}
