/** Files that an engine writes. The launcher opens them, so that one that cannot be written is known at once. */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { AppError } from "../base/errors.ts";
import { VERSION } from "../config/generated/version.ts";
import { chooseOther, whyNotWritten } from "./file-failure.ts";

/** Opens a log to append to and writes its first line, and a remark behind it. Throws LOG_FILE. */
export function openLog(path: string, about: Readonly<Record<string, unknown>>, remark?: string): number {
  try {
    const fd = openSync(path, "a", 0o600);
    try {
      const time = new Date().toISOString();
      const lines: unknown[] = [{ level: "info", time, ...about, msg: `bucatini ${VERSION} starts` }];
      if (remark !== undefined) lines.push({ level: "warn", time, msg: remark });
      writeSync(fd, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  } catch (cause) {
    throw notWritten("the log", path, cause, chooseOther(cause, "another --log-file"));
  }
}

/**
 * Opens the log `fd`, which has that path, once more, so that lines in it can be moved. What is no regular file has no
 * size, and so no limit. Throws LOG_FILE.
 */
export function openLimitedLog(path: string, fd: number): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, fstatSync(fd).isFile() ? "r+" : "a");
  } catch (cause) {
    throw notWritten("the log", path, cause, "make it readable to you or choose another --log-file");
  }
}

/** Opens an empty file for frames; it is nobody else's to read. Throws LOG_FILE. */
export function openCapture(path: string): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_NONBLOCK } = constants;
  try {
    const fd = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NONBLOCK, 0o600);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch (cause) {
    throw notWritten("the capture", path, cause, chooseOther(cause, "another file"));
  }
  throw new AppError(
    "LOG_FILE",
    `cannot write the capture ${path}: it is no regular file; choose another one`,
  );
}

const notWritten = (what: string, path: string, cause: unknown, remedy: string): AppError =>
  new AppError("LOG_FILE", `cannot write ${what} ${path}: ${whyNotWritten(cause)}; ${remedy}`, { cause });
