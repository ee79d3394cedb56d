/** Programs of other packages that the launcher starts, found even with an empty environment. */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { AppError } from "../base/errors.ts";

/** Where distributions put system programs; searched after PATH. */
const SYSTEM_DIRECTORIES = [
  "/usr/local/bin",
  "/usr/bin",
  "/bin",
  "/usr/sbin",
  "/sbin",
  "/run/current-system/sw/bin",
];

/** The path of an executable, or undefined. A name with a slash is taken as it is. */
export function findProgram(name: string, path: string | undefined): string | undefined {
  if (name.includes("/")) return isExecutable(name) ? name : undefined;
  return executableIn([...(path ?? "").split(delimiter), ...SYSTEM_DIRECTORIES], name);
}

/**
 * The path of what a shell runs by this name, or undefined. Empty entries of PATH are the working directory; without
 * PATH, shells look where systems have their programs.
 */
export function findCommand(name: string, path: string | undefined): string | undefined {
  if (name.includes("/") || path === undefined) return findProgram(name, path);
  return executableIn(
    path.split(delimiter).map((directory) => directory || "."),
    name,
  );
}

/** The first executable file of this name; undefined when no directory has one. */
export const executableIn = (directories: readonly string[], name: string): string | undefined =>
  directories
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, name))
    .find(isExecutable);

/** The path of a program we cannot do without. Throws NO_TOOL. */
export function requireTool(name: string): string {
  const path = findProgram(name, process.env["PATH"]);
  if (path !== undefined) return path;
  throw new AppError(
    "NO_TOOL",
    `cannot find the program ${name}, which is part of util-linux; install that package and try again`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Missing, or not for us: either way it is not the one.
    return false;
  }
}
