/** Writing into the root file system of a container whose program does not run yet. */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { AppError, errorCode } from "../base/errors.ts";
import { writeResolvConf } from "./resolv-conf.ts";

const TEMPORARY = ".resolv.conf.bucatini";
/** Whoever made the image may have put a link anywhere, to make us write to the host: none is followed. */
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** Replaces etc/resolv.conf below `root`, a directory outside. Throws FILE. */
export function writeResolvConfBelow(root: string, nameservers: readonly string[]): void {
  try {
    const rootFd = openSync(realpathSync(root), DIRECTORY);
    try {
      replaceIn(openEtc(rootFd), nameservers);
    } finally {
      closeSync(rootFd);
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
  return code === "ENOTDIR" || code === "ELOOP" ? "etc is no directory" : code;
};

function openEtc(rootFd: number): number {
  const path = `/proc/self/fd/${rootFd}/etc`;
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
  }
  return openSync(path, DIRECTORY);
}

/** Closes `etc`. */
function replaceIn(etc: number, nameservers: readonly string[]): void {
  try {
    const [own, hosts] = [fstatSync(etc), statSync("/etc")];
    if (own.dev === hosts.dev && own.ino === hosts.ino) throw new Error("that is the host's");
    const [temporary, path] = [TEMPORARY, "resolv.conf"].map((name) => `/proc/self/fd/${etc}/${name}`);
    rmSync(temporary, { force: true });
    writeResolvConf(temporary, nameservers);
    // What is there, a link too, is replaced.
    renameSync(temporary, path);
  } finally {
    closeSync(etc);
  }
}
