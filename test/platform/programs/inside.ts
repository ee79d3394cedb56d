/**
 * Enters the network namespace of process argv[2] as the engine does, takes sockets there, and prints what came of it
 * as JSON.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { Inside } from "../../../src/engine/inside.ts";
import * as c from "../../../src/ffi/constants.ts";
import { check } from "../../../src/ffi/errno.ts";
import { close } from "../../../src/ffi/libc.ts";
import { getsockopt } from "../../../src/ffi/libc-socket.ts";
import { scratch } from "../../../src/ffi/memory.ts";
import { limitCapabilities } from "../../../src/kernel/caps.ts";
import { openNetns } from "../../../src/kernel/namespace.ts";
import { getOption, openTcp } from "../../../src/kernel/socket.ts";

/** A number of its own for each network namespace. @see SO_NETNS_COOKIE in asm-generic/socket.h */
const SO_NETNS_COOKIE = 71;

function cookieOf(fd: number): string {
  scratch.view.setInt32(512, 8, true);
  check(getsockopt(fd, c.SOL_SOCKET, SO_NETNS_COOKIE, scratch.address, scratch.address + 512), "getsockopt");
  return String(scratch.view.getBigUint64(0, true));
}

/** Takes `count` sockets, waiting where there are none; how often it had to. */
async function take(inside: Inside, count: number, v6: boolean, protocol: number) {
  const fds: number[] = [];
  let waits = 0;
  const start = performance.now();
  while (fds.length < count) {
    const fd = inside.take(v6, protocol);
    if (fd >= 0) fds.push(fd);
    else {
      if (fd !== -c.EAGAIN) check(fd, "take");
      waits++;
      await new Promise<void>((resolve) => {
        inside.onReady = resolve;
      });
    }
  }
  return { fds, waits, milliseconds: performance.now() - start };
}

async function main(): Promise<void> {
  const path = `/proc/${process.argv[2]}/ns/net`;
  const target = readlinkSync(path);
  const netns = openNetns(path);
  const inside = await Inside.enter(netns.fd);
  limitCapabilities([c.CAP_NET_BIND_SERVICE]);
  const threads = readdirSync("/proc/self/task").map((id) => ({
    isMain: id === String(process.pid),
    isInside: readlinkSync(`/proc/self/task/${id}/ns/net`) === target,
    capabilities: /^CapPrm:\s*(\w+)$/m.exec(readFileSync(`/proc/self/task/${id}/status`, "utf8"))![1],
  }));
  const own = openTcp(false);
  const kinds = [];
  for (const protocol of [c.IPPROTO_TCP, c.IPPROTO_UDP]) {
    for (const v6 of [false, true]) {
      const { fds, waits } = await take(inside, 3, v6, protocol);
      const domain = getOption(fds[0], c.SOL_SOCKET, c.SO_DOMAIN);
      const isOurs = getOption(fds[0], c.SOL_SOCKET, c.SO_PROTOCOL) === protocol;
      const cookies = new Set(fds.map(cookieOf));
      kinds.push({
        isOurs,
        domain,
        waits,
        cookies: cookies.size,
        isElsewhere: !cookies.has(cookieOf(own)),
      });
      fds.forEach(close);
    }
  }
  const many = await take(inside, Number(process.argv[3] ?? 1000), false, c.IPPROTO_TCP);
  const elsewhere = new Set(many.fds.map(cookieOf)).size === 1 && cookieOf(many.fds[0]) !== cookieOf(own);
  const queued = await Promise.all(Array.from({ length: 1000 }, () => inside.socket(true, c.IPPROTO_TCP)));
  const result = {
    threads,
    kinds,
    many: { elsewhere, waits: many.waits, milliseconds: many.milliseconds },
    queued: { least: Math.min(...queued) > 0, distinct: new Set(queued).size },
    wrong: await inside.open(c.AF_INET, c.SOCK_STREAM, c.IPPROTO_UDP),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

void main();
