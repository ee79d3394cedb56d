/** Which process group a terminal talks to. @see tty_ioctl(4) */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { ioctl } from "../ffi/libc.ts";
import { signal } from "../ffi/libc-file.ts";
import { scratch } from "../ffi/memory.ts";

/** @see asm-generic/ioctls.h */
const TIOCSPGRP = 0x5410;
const SIG_IGN = 1;
const STDIN = 0;

/** Our process group, and the foreground group of our terminal: -1 without a terminal. @see proc_pid_stat(5) */
function groups(): { own: number; foreground: number } {
  const stat = readFileSync("/proc/self/stat", "utf8");
  // After the name: state, parent, group, session, terminal, foreground group of the terminal.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { own: Number(fields[2]), foreground: Number(fields[5]) };
}

/** Whether the terminal sends the signals of its keys to our process group. */
export function inForeground(): boolean {
  const { own, foreground } = groups();
  return own === foreground;
}

/**
 * Makes our process group the foreground of the terminal at stdin again, after a shell that made its own one has
 * ended. Ignores SIGTTOU from then on, which would stop us for doing that.
 */
export function takeTerminal(): void {
  signal(constants.signals.SIGTTOU, SIG_IGN);
  scratch.view.setInt32(0, groups().own, true);
  // It fails when stdin is something else or the terminal is gone: then there is nothing to take.
  ioctl(STDIN, TIOCSPGRP, scratch.address);
}
