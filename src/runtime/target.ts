/** Opens the network namespace a person names, and finds the user namespace that has power over it. */
import { closeSync, existsSync, readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { AppError } from "../base/errors.ts";
import { namespaceId, openNetns, openOwner, ownNamespaceId, type Netns } from "../kernel/namespace.ts";
import { openParent, ownerUid } from "../kernel/user-namespace.ts";

/** Where `ip netns add NAME` keeps a namespace. */
const NAMED_NETNS = "/run/netns";

/** The path that a NAME or PATH means, from wherever it is looked at: the engine works in another directory. */
export function netnsPath(text: string): string {
  if (!text.includes("/")) return `${NAMED_NETNS}/${text}`;
  return isAbsolute(text) ? text : `${process.cwd()}/${text}`;
}

/** Opens the network namespace of a process. Throws TARGET_GONE, TARGET_FORBIDDEN or USAGE. */
export function openProcessTarget(pid: number): Netns {
  const what = `process ${pid}`;
  const gone = `cannot attach to ${what}: there is no such process; check the number`;
  if (!existsSync(`/proc/${pid}`)) throw new AppError("TARGET_GONE", gone);
  return openTarget(`/proc/${pid}/ns/net`, what, gone, () => whyProcessForbidden(pid));
}

function whyProcessForbidden(pid: number): string {
  const uid = /^Uid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (uid !== String(process.getuid!())) {
    return `it belongs to another user (uid ${uid}); run bucatini as that user or as root`;
  }
  return "it does not let even its own user look into it; try again when its program has started, or as root";
}

/** Opens the network namespace at a path. Throws TARGET_GONE, TARGET_FORBIDDEN or USAGE. */
export function openPathTarget(path: string): Netns {
  const gone = existsSync(path)
    ? `cannot attach to ${path}: it is no network namespace here; one that was mounted in another mount ` +
      "namespace must be named by a process id, or from inside that one"
    : `cannot attach to ${path}: it does not exist; "ip netns list" shows the names there are`;
  return openTarget(path, path, gone, () => "permission denied; run bucatini as its owner or as root");
}

function openTarget(path: string, what: string, gone: string, whyForbidden: () => string): Netns {
  let netns: Netns;
  try {
    netns = openNetns(path);
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    if (cause.code !== "TARGET_FORBIDDEN") throw new AppError("TARGET_GONE", gone, { cause });
    throw new AppError("TARGET_FORBIDDEN", `cannot attach to ${what}: ${whyForbidden()}`, { cause });
  }
  if (netns.id !== ownNamespaceId("net")) return netns;
  closeSync(netns.fd);
  throw new AppError(
    "USAGE",
    `cannot attach to ${what}: it is in the network namespace of this command, so there is nothing to connect; ` +
      "give it a network namespace of its own",
  );
}

/**
 * Opens the user namespace that gives power over a network namespace: on the way up from the one that owns it,
 * the last one below ours. Entering that one is enough, because privilege in it counts in all below, and possible
 * for an ordinary user who made it. Throws TARGET_FORBIDDEN.
 */
export function openUserNamespace(netns: Netns): number {
  const own = ownNamespaceId("user");
  let fd = openOwner(netns.fd);
  while (fd !== undefined && namespaceId(fd) !== own) {
    const parent = openParent(fd);
    if (parent !== undefined && namespaceId(parent) === own) {
      closeSync(parent);
      return checkOwner(fd, netns);
    }
    closeSync(fd);
    fd = parent;
  }
  if (fd !== undefined) closeSync(fd);
  throw new AppError(
    "TARGET_FORBIDDEN",
    `cannot enter the network namespace ${netns.path}: it was made with more privilege than this process has; ` +
      "run bucatini as root",
  );
}

function checkOwner(fd: number, netns: Netns): number {
  const owner = ownerUid(fd);
  if (owner === process.geteuid!()) return fd;
  closeSync(fd);
  throw new AppError(
    "TARGET_FORBIDDEN",
    `cannot enter the network namespace ${netns.path}: it belongs to another user (uid ${owner}); ` +
      "run bucatini as that user or as root",
  );
}
