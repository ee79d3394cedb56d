/** The resolv.conf of a container. */
import { chmod, writeFile } from "node:fs/promises";
import { formatResolvConf } from "../config/resolv-conf.ts";
import { readResolvConf } from "../follow/resolv-conf.ts";

/**
 * Writes a new resolv.conf with these resolvers and the host's search list; everybody inside may read it. Throws what
 * node:fs throws.
 */
export async function writeResolvConf(path: string, nameservers: readonly string[]): Promise<void> {
  await writeFile(path, formatResolvConf(readResolvConf(), nameservers), { flag: "wx" });
  // Whatever the umask of our caller is.
  await chmod(path, 0o644);
}
