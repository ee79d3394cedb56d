/** The socket on which an engine is asked, apart from what is asked: the engine may be somebody else by then. */
import { chmodSync, chownSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { listenUnix } from "../kernel/unix-socket.ts";

export interface ControlSocket {
  /** Listens, with nobody having been accepted. */
  readonly fd: number;
  readonly path: string;
  /** Users who may ask, as our user namespace numbers them. */
  readonly allowed: ReadonlySet<number>;
}

/**
 * Opens a socket for the owner of its directory, in the place of what an engine left there that failed before us. Those
 * who may ask: we as we are now, that owner, and root. Throws SysError, or what node:fs throws.
 */
export function openControlSocket(path: string): ControlSocket {
  rmSync(path, { force: true });
  const fd = listenUnix(path);
  chmodSync(path, 0o600);
  const { uid, gid } = statSync(dirname(path));
  // An engine inside a user namespace may be another user there.
  if (uid !== process.geteuid!()) chownSync(path, uid, gid);
  return { fd, path, allowed: new Set([0, process.geteuid!(), uid]) };
}

/** Takes the socket's name away, unless we have become somebody who may not. */
export function removeControlSocket({ path }: ControlSocket): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Whoever may will remove the whole directory.
  }
}
