/**
 * The guard: changes the container's network for an engine that must not have the power to do so, because the same
 * power counts on the host. It lives as long as somebody holds the other end of its socket, and makes one request after
 * the other, if kernel/netlink-guard.ts lets it pass. There is no native code in it. Argument: the index of the
 * interface inside.
 */
import { readSync, writeSync } from "node:fs";
import { endsAnswer, judge } from "../kernel/netlink-guard.ts";

/** The socket of datagrams to the engine. */
const ENGINE = 0;
/** rtnetlink in the container, connected to the kernel. */
const NETLINK = 1;

/** Room for one datagram; the kernel fills at most 32 KiB of it. */
const buffer = Buffer.allocUnsafeSlow(65_536);

/** The next datagram; empty at the end. It is good until the next call. */
const receive = (fd: number): Buffer => buffer.subarray(0, readSync(fd, buffer));

function serve(interfaceIndex: number): void {
  for (;;) {
    const datagram = receive(ENGINE);
    if (datagram.length === 0) return;
    const verdict = judge(datagram, interfaceIndex);
    // Nonsense, or a line for the shell that was here before.
    if (verdict === undefined) continue;
    if ("refusal" in verdict) {
      writeSync(ENGINE, verdict.refusal);
      continue;
    }
    writeSync(NETLINK, verdict.request);
    for (let isOver = false; !isOver;) {
      const answer = receive(NETLINK);
      isOver = endsAnswer(answer);
      writeSync(ENGINE, answer);
    }
  }
}

process.title = "bucatini-guard";
serve(Number(process.argv[2]));
