/** Users and groups by name, as /etc/passwd and /etc/group have them. */
import { readFileSync } from "node:fs";
import { AppError } from "../base/errors.ts";
import type { Identity } from "../config/options.ts";

/** The last number of a user or group; the one behind it means none. */
const ID_MAX = 0xffff_fffe;

/** An entry of passwd(5), or of group(5), which has no number of another group. */
interface Entry {
  id: number;
  group: number;
}

/**
 * What UID, UID:GID, LOGIN or LOGIN:GROUP means, each part a name or a number. A number alone is that of the group as
 * well. Throws USAGE.
 */
export function parseIdentity(text: string): Identity {
  const [user, group, ...rest] = text.split(":");
  const entry = numeric(user) ?? findEntry("/etc/passwd", user);
  const gid = group === undefined ? entry?.group : (numeric(group) ?? findEntry("/etc/group", group))?.id;
  if (entry !== undefined && gid !== undefined && rest.length === 0) return { uid: entry.id, gid };
  throw new AppError(
    "USAGE",
    `cannot run the engine as ${text}: there is no such user or group in /etc/passwd and /etc/group; ` +
      "name another one, or give numbers, as UID:GID",
  );
}

/** A user and its group; undefined when there is no such account. */
export function findUser(name: string): Identity | undefined {
  const entry = findEntry("/etc/passwd", name);
  return entry && { uid: entry.id, gid: entry.group };
}

function numeric(text: string): Entry | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return id <= ID_MAX ? { id, group: id } : undefined;
}

function findEntry(file: string, name: string): Entry | undefined {
  const fields = linesOf(file)
    .map((line) => line.split(":"))
    .find(([each, , id]) => each === name && name !== "" && /^\d+$/.test(id ?? ""));
  return fields && { id: Number(fields[2]), group: Number(fields[3]) };
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    // The smallest systems have neither file.
    return [];
  }
}
