/** Our end of a pipe that a child process was started with. */
import type { ChildProcess } from "node:child_process";
import { Socket } from "node:net";
import { assert } from "../base/assert.ts";

/** The end that belongs to descriptor `fd` of the child, which must be "pipe" in its stdio; may be written and read. */
export function childPipe(child: ChildProcess, fd: number): Socket {
  const streams: readonly unknown[] = child.stdio;
  const stream = streams[fd];
  assert(stream instanceof Socket, `descriptor ${fd} of the child is a pipe`);
  return stream;
}
