/** Why files cannot be read or written, as a person reads it. */
import { errorCode } from "../base/errors.ts";

/** @param error of node:fs, @see errno(3) */
export function whyNotRead(error: unknown): string {
  const code = errorCode(error);
  switch (code) {
    case "ENOSPC":
      return "the disk is full";
    case "EDQUOT":
      return "the disk quota is used up";
    case "EROFS":
      return "the file system is read-only";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "ENOENT":
      return "it does not exist";
    case "ENOTDIR":
      return "a part of its path is no directory";
    case "EISDIR":
      return "it is a directory";
    default:
      return code;
  }
}

/** The same for a file that is made where it does not exist. */
export const whyNotWritten = (error: unknown): string =>
  errorCode(error) === "ENOENT" ? "its directory does not exist" : whyNotRead(error);

/** What to do about it. @param other "another file" */
export const chooseOther = (error: unknown, other: string): string =>
  ["ENOSPC", "EDQUOT"].includes(errorCode(error)) ? `free space or choose ${other}` : `choose ${other}`;
