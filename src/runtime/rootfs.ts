/**
 * Writing into the root file system of a container whose program does not run yet. It belongs to whoever made the image,
 * so files are written asynchronously: Node's other threads still have the capabilities that this one has given up when
 * it has started an engine.
 */
import { constants, statSync } from "node:fs";
import { type FileHandle, mkdir, open, realpath, rename, rm } from "node:fs/promises";
import { AppError, errorCode } from "../base/errors.ts";
import { whyNotWritten } from "./file-failure.ts";
import { writeResolvConf } from "./resolv-conf.ts";

const TEMPORARY = ".resolv.conf.bucatini";
/** Whoever made the image may have put a link anywhere, to make us write to the host: none is followed. */
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Replaces etc/resolv.conf below `root`, a directory outside. Throws FILE. */
export async function writeResolvConfBelow(root: string, nameservers: readonly string[]): Promise<void> {
  try {
    const directory = await open(await realpath(root), DIRECTORY);
    try {
      await replaceIn(await openEtc(directory), nameservers);
    } finally {
      await directory.close();
    }
  } catch (cause) {
    throw new AppError(
      "FILE",
      `cannot write etc/resolv.conf below ${root}: ${whyNot(cause)}; mount a resolv.conf into the container instead`,
      { cause },
    );
  }
}

const whyNot = (error: unknown): string => {
  const code = errorCode(error);
  return code === "ENOTDIR" || code === "ELOOP" ? "etc is no directory" : whyNotWritten(error);
};

async function openEtc(root: FileHandle): Promise<FileHandle> {
  const path = `/proc/self/fd/${root.fd}/etc`;
  try {
    await mkdir(path, { mode: 0o755 });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  return open(path, DIRECTORY);
}

/** Closes `etc`. */
async function replaceIn(etc: FileHandle, nameservers: readonly string[]): Promise<void> {
  try {
    const [own, hosts] = [await etc.stat(), statSync("/etc")];
    if (own.dev === hosts.dev && own.ino === hosts.ino) throw new Error("that is the host's");
    const [temporary, path] = [TEMPORARY, "resolv.conf"].map((name) => `/proc/self/fd/${etc.fd}/${name}`);
    await rm(temporary, { force: true });
    await writeResolvConf(temporary, nameservers);
    // What is there, a link too, is replaced.
    await rename(temporary, path);
  } finally {
    await etc.close();
  }
}
