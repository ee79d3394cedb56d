/**
 * System calls that a running engine never makes, and that would help whoever took it over: they fail with EPERM
 * from then on. A list of what is allowed would be stricter, but Node.js decides what it calls.
 */
import { assert } from "../base/assert.ts";
import { EPERM } from "../ffi/constants.ts";
import { check } from "../ffi/errno.ts";
import { seccomp } from "../ffi/libc.ts";
import { scratch } from "../ffi/memory.ts";
import {
  JUMP_IF_AT_LEAST,
  JUMP_IF_EQUAL,
  LOAD_WORD,
  RETURN,
  writeProgram,
  type Instruction,
} from "./filter-program.ts";

/** Numbers of forbidden calls by name; undefined where a machine has none. @see asm/unistd.h */
type Numbers = readonly [x64: number, arm64: number | undefined];
export const FORBIDDEN_CALLS: Readonly<Record<string, Numbers>> = {
  // Other programs and processes.
  execve: [59, 221],
  execveat: [322, 281],
  fork: [57, undefined],
  vfork: [58, undefined],
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  pidfd_getfd: [438, 438],
  kcmp: [312, 272],
  kill: [62, 129],
  tkill: [200, 130],
  tgkill: [234, 131],
  rt_sigqueueinfo: [129, 138],
  rt_tgsigqueueinfo: [297, 240],
  pidfd_send_signal: [424, 424],
  // Mounts and roots.
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  move_mount: [429, 429],
  open_tree: [428, 428],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  open_by_handle_at: [304, 265],
  unshare: [272, 97],
  setns: [308, 268],
  name_to_handle_at: [303, 264],
  mknod: [133, undefined],
  mknodat: [259, 33],
  fanotify_init: [300, 262],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  // Other users.
  setuid: [105, 146],
  setgid: [106, 144],
  setreuid: [113, 145],
  setregid: [114, 143],
  setresuid: [117, 147],
  setresgid: [119, 149],
  setgroups: [116, 159],
  // The kernel and the machine.
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  syslog: [103, 116],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  iopl: [172, undefined],
  ioperm: [173, undefined],
};

/* linux/audit.h, linux/seccomp.h */
const isX64 = process.arch === "x64";
const AUDIT_ARCH = isX64 ? 0xc000003e : 0xc00000b7;
/** Calls of the x32 interface, which has numbers of its own for some, start here. */
const X32 = 0x40000000;
const NUMBER_AT = 0;
const ARCH_AT = 4;
const ALLOW = 0x7fff0000;
const FAIL = 0x00050000;
const SET_MODE_FILTER = 1;
const ALL_THREADS = 1;

/** Forbids FORBIDDEN_CALLS to all threads, for good. Needs no_new_privs (caps.ts). Throws SysError. */
export function limitSystemCalls(): void {
  writeProgram(compile());
  check(seccomp(SET_MODE_FILTER, ALL_THREADS, scratch.address), "seccomp");
}

function compile(): Instruction[] {
  const numbers = Object.values(FORBIDDEN_CALLS).flatMap(([x64, arm64]) => (isX64 ? x64 : (arm64 ?? [])));
  // Every jump goes to the last instruction, and says how many lie between.
  const toEnd = (at: number): number => numbers.length + 4 - at;
  assert(toEnd(1) < 256, "a jump reaches over 255 instructions at most");
  return [
    [LOAD_WORD, 0, 0, ARCH_AT],
    [JUMP_IF_EQUAL, 0, toEnd(1), AUDIT_ARCH],
    [LOAD_WORD, 0, 0, NUMBER_AT],
    [JUMP_IF_AT_LEAST, toEnd(3), 0, X32],
    ...numbers.map((number, i): Instruction => [JUMP_IF_EQUAL, toEnd(4 + i), 0, number]),
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, FAIL | EPERM],
  ];
}
