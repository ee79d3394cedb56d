/**
 * Calls a program as Podman 5 calls pasta: stdout and stderr are one pipe that is read to its end, and a connected
 * AF_UNIX socket is open by mistake.
 *
 *   once PROGRAM WORD...                  prints what came of it as JSON
 *   restart DIRECTORY COUNT PROGRAM WORD...   the same for each of COUNT namespaces bound to files in DIRECTORY, with the
 *       file behind the words; each is unmounted and removed, and the next call comes 11 ms later
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import type { Socket } from "node:net";

interface Called {
  status: number | null;
  /** What both descriptors gave. */
  output: string;
  /** Somebody still has the socket half a second after the pipe has ended. */
  leaked: boolean;
}

const LEAK_MS = 500;
/** Between the end of one namespace and the start of pasta for the next, as `podman restart` was seen to do it. */
const RESTART_MS = 11;

async function call(program: string, words: readonly string[]): Promise<Called> {
  const child = spawn("/bin/sh", ["-c", 'exec "$0" "$@" 2>&1', program, ...words], {
    stdio: ["ignore", "pipe", "ignore", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (bytes: Buffer) => (output += bytes.toString()));
  const exited = once(child, "exit");
  const closed = once((child.stdio[3] as Socket).resume(), "close");
  await once(child.stdout!, "close");
  const [status] = (await exited) as [number | null];
  const late = new Promise<boolean>((resolve) => {
    setTimeout(resolve, LEAK_MS, true);
  });
  return { status, output, leaked: await Promise.race([late, closed.then(() => false)]) };
}

/** What Podman looks for: the addresses of the namespace that are neither loopback nor link-local. */
const addressesIn = (path: string): string =>
  execFileSync("nsenter", [`--net=${path}`, "ip", "-o", "address", "show", "scope", "global"], {
    encoding: "utf8",
  })
    .split("\n")
    .map((line) => line.split(/\s+/)[3])
    .filter((word) => word !== undefined)
    .join(" ");

async function restart(
  directory: string,
  count: number,
  program: string,
  words: readonly string[],
): Promise<void> {
  for (let i = 1; i <= count; i++) {
    const path = `${directory}/${i}`;
    const called = await call(program, [...words, path]);
    console.log(JSON.stringify({ ...called, addresses: addressesIn(path) }));
    if (i === count) return;
    execFileSync("umount", ["--lazy", path]);
    rmSync(path);
    await new Promise((resolve) => {
      setTimeout(resolve, RESTART_MS);
    });
  }
}

const [verb, ...words] = process.argv.slice(2);
if (verb === "once") {
  console.log(JSON.stringify(await call(words[0] ?? "", words.slice(1))));
} else {
  await restart(words[0] ?? "", Number(words[1]), words[2] ?? "", words.slice(3));
}
// Whoever still has the socket must not keep this from ending.
process.exit(0);
