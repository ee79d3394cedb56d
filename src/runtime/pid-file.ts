/** A file that tells others the number of a process. */
import { closeSync, constants, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { AppError, errorCode } from "../base/errors.ts";
import { chooseOther, whyNotWritten } from "./file-failure.ts";

export class PidFile {
  readonly #path: string;
  readonly #fd: number;
  #isNew: boolean;

  private constructor(path: string, fd: number, isNew: boolean) {
    this.#path = path;
    this.#fd = fd;
    this.#isNew = isNew;
  }

  /** One that is there already keeps what it says until `write`: it may be that of another process. Throws FILE. */
  static open(path: string): PidFile {
    const { O_WRONLY, O_CREAT, O_EXCL } = constants;
    try {
      return new PidFile(path, openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600), true);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw notWritten(path, error);
    }
    try {
      return new PidFile(path, openSync(path, O_WRONLY), false);
    } catch (error) {
      throw notWritten(path, error);
    }
  }

  /** To be called once. Throws FILE. */
  write(pid: number): void {
    try {
      ftruncateSync(this.#fd);
      writeSync(this.#fd, `${pid}\n`);
      closeSync(this.#fd);
      this.#isNew = false;
    } catch (error) {
      throw notWritten(this.#path, error);
    }
  }

  /** Removes the file if it is ours and says nothing yet. */
  discard(): void {
    if (this.#isNew) rmSync(this.#path, { force: true });
  }
}

const notWritten = (path: string, cause: unknown): AppError =>
  new AppError(
    "FILE",
    `cannot write the PID file ${path}: ${whyNotWritten(cause)}; ${chooseOther(cause, "another one")}`,
    {
      cause,
    },
  );
