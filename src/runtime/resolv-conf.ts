/** The host's resolv.conf, and the one for a container. */
import { readFileSync, writeFileSync } from "node:fs";
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

/** Writes a resolv.conf with these resolvers and the host's search list; everybody inside may read it. */
export function writeResolvConf(path: string, nameservers: readonly string[]): void {
  writeFileSync(path, formatResolvConf(readResolvConf(), nameservers), { mode: 0o644 });
}
