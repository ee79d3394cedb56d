/** We rely on: our numbers are those of the system's headers. */
import { expect, test } from "@jest/globals";
import * as constants from "../../src/ffi/constants.ts";
import { FORBIDDEN_CALLS } from "../../src/kernel/seccomp.ts";
import { evaluate, hasCompiler } from "./compiler.ts";

const HEADERS = [
  "errno.h",
  "fcntl.h",
  "poll.h",
  "signal.h",
  "sys/epoll.h",
  "sys/eventfd.h",
  "sys/inotify.h",
  "sys/mman.h",
  "sys/prctl.h",
  "sys/signalfd.h",
  "sys/socket.h",
  "sys/syscall.h",
  "sys/timerfd.h",
  "netinet/in.h",
  "netinet/tcp.h",
  "netinet/udp.h",
  "sched.h",
  "time.h",
  "linux/capability.h",
  "linux/securebits.h",
  "linux/errqueue.h",
  "linux/if.h",
  "linux/if_tun.h",
  "linux/inet_diag.h",
  "linux/sock_diag.h",
  "linux/magic.h",
  "linux/netlink.h",
  "linux/nsfs.h",
  "linux/sockios.h",
];

/** What a constant is called in C. */
function nameInC(name: string): string {
  if (name.startsWith("SYS_"))
    return name.replace(/[A-Z]+/g, (word) => (word === "SYS" ? word : word.toLowerCase()));
  if (name === "SIGSET_BYTES") return "sizeof(sigset_t)";
  return name === "LINUX_CAPABILITY_VERSION_3" ? `_${name}` : name;
}
/** Not in the user's headers, or only in newer ones than some systems have. */
const ABSENT = new Set([
  "UDP_MAX_SEGMENTS",
  "SIOCGSKNS",
  "NSFS_MAGIC",
  "TUN_F_USO4",
  "TUN_F_USO6",
  "SOMAXCONN",
]);

(hasCompiler ? test : test.skip)("constants equal those of the C compiler", () => {
  const ours = Object.entries(constants).filter(([name]) => !ABSENT.has(name));
  const theirs = evaluate(
    ours.map(([name]) => `(int)(${nameInC(name)})`),
    HEADERS,
  );
  // oxlint-disable-next-line jest/no-standalone-expect -- skipped where there is no compiler
  expect(ours.map(([name, value]) => `${name} = ${value | 0}`)).toEqual(
    ours.map(([name], i) => `${name} = ${theirs[i]}`),
  );
});

(hasCompiler ? test : test.skip)("numbers of forbidden calls equal those of the C compiler", () => {
  const machine = process.arch === "x64" ? 0 : 1;
  const ours = Object.entries(FORBIDDEN_CALLS).filter(([, numbers]) => numbers[machine] !== undefined);
  const theirs = evaluate(
    ours.map(([name]) => `SYS_${name}`),
    ["sys/syscall.h"],
  );
  // oxlint-disable-next-line jest/no-standalone-expect -- skipped where there is no compiler
  expect(ours.map(([name, numbers]) => `${name} = ${numbers[machine]}`)).toEqual(
    ours.map(([name], i) => `${name} = ${theirs[i]}`),
  );
});
