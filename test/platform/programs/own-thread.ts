/** Moves its main thread between network namespaces, and takes a signal as data; prints what came of it as JSON. */
import { readlinkSync } from "node:fs";
import * as c from "../../../src/ffi/constants.ts";
import { check } from "../../../src/ffi/errno.ts";
import {
  close,
  open,
  pipe2,
  pthreadSigmask,
  read,
  setns,
  signalfd,
  unshare,
  write,
} from "../../../src/ffi/libc.ts";
import { scratch } from "../../../src/ffi/memory.ts";
import { signalfdSiginfo } from "../../../src/ffi/structs.ts";

const netns = (): string => readlinkSync("/proc/thread-self/ns/net");

function move(): unknown {
  const before = netns();
  const home = check(open("/proc/thread-self/ns/net", c.O_RDONLY | c.O_CLOEXEC), "open");
  check(unshare(c.CLONE_NEWNET), "unshare");
  const isElsewhere = netns() !== before;
  const wrongKind = setns(home, c.CLONE_NEWUSER);
  check(setns(home, c.CLONE_NEWNET), "setns");
  close(home);
  // All threads of a process share one user namespace, and Node has several.
  return { isElsewhere, wrongKind, isBack: netns() === before, user: unshare(c.CLONE_NEWUSER) };
}

function takeSignal(): unknown {
  scratch.bytes.fill(0, 0, c.SIGSET_BYTES);
  scratch.view.setUint32(0, 1 << (c.SIGPIPE - 1), true);
  check(pthreadSigmask(c.SIG_BLOCK, scratch.address), "pthread_sigmask");
  const signals = check(signalfd(scratch.address, c.SFD_CLOEXEC | c.SFD_NONBLOCK), "signalfd");
  const empty = read(signals, scratch.address, signalfdSiginfo.size);
  check(pipe2(scratch.address, c.O_CLOEXEC), "pipe2");
  close(scratch.view.getInt32(0, true));
  // The signal is for the thread that writes.
  const written = write(scratch.view.getInt32(4, true), scratch.address, 1);
  const length = read(signals, scratch.address, 2 * signalfdSiginfo.size);
  const signal = scratch.view.getUint32(signalfdSiginfo.signo, true);
  return {
    empty,
    written,
    length,
    signal,
    isOurs: scratch.view.getUint32(signalfdSiginfo.pid, true) === process.pid,
  };
}

process.stdout.write(`${JSON.stringify({ move: move(), signal: takeSignal() })}\n`);
