// What starts outside and ends inside, and the bypass between the two loopbacks.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { bulk, type Case, PLAIN, requests, type Scene } from "./cases.ts";
import { outside } from "./namespaces.ts";
import { memoryOf, start, until } from "./process.ts";
import { boundPorts, IPERF_PORT, LOAD_PORT, loadClientCommand, loadServer } from "./traffic.ts";

const PORTS = `${IPERF_PORT},${LOAD_PORT}`;
const IN = ["-t", PORTS] as const;
const OUT = ["-T", PORTS] as const;
/** Ports that are asked for at once, from MANY_FIRST on; nothing else listens in the namespace "outside". */
const MANY = 60_000;
const MANY_FIRST = 2000;
/** Descriptors that an engine needs for itself. */
const SPARE_FILES = 1500;
const CONNECTIONS = 2000;

export function forwardCases(): Case[] {
  const tap = { direct: 0.5, pasta: 1 };
  const splice = { direct: 0.6, pasta: 1 };
  const inbound = (mtu: number, reverse: boolean): Case =>
    bulk(
      { name: `forward-${reverse ? "out" : "in"}-${mtu}`, path: "in", forward: IN, mtu, link: PLAIN },
      tap,
      reverse,
    );
  const bypass = { mtu: 1500, link: PLAIN };
  const cases = [
    ...[1500, 65520].flatMap((mtu) => [inbound(mtu, false), inbound(mtu, true)]),
    bulk({ ...bypass, name: "splice-to-container", path: "loopback-in", forward: IN }, splice),
    bulk({ ...bypass, name: "splice-to-host", path: "loopback-out", forward: OUT }, splice),
    ...(["rr", "crr"] as const).flatMap((kind) => [
      requests(kind, { name: `forward-${kind}`, path: "in", forward: IN }, { pasta: 1 }),
      requests(kind, { name: `splice-${kind}`, path: "loopback-in", forward: IN }, { pasta: 1 }),
    ]),
    manyPorts(),
    spliceMemory(),
  ];
  // slirp4netns forwards ports only when it is told through a socket of its own.
  return cases.map((each) => ({ ...each, without: [...(each.without ?? []), "slirp4netns"] }));
}

/**
 * From the start of the command until it says that it is ready; all ports must be open by then. Where so many files
 * may not be open, fewer ports in as much less time.
 */
function manyPorts(): Case {
  const files = Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
  const count = Math.min(MANY, files - SPARE_FILES);
  const last = MANY_FIRST + count - 1;
  const name = `forward-${count}-ports`;
  return {
    name,
    path: "in",
    forward: ["-t", `${MANY_FIRST}-${last}`],
    mtu: 1500,
    link: PLAIN,
    without: ["direct"],
    rows: [{ name, unit: "ms", lowerIsBetter: true, want: { atMost: Math.round((2000 * count) / MANY) } }],
    duration: () => 4,
    measure: ({ running }) => {
      const open = [...boundPorts(outside.pid, "0A")].filter((port) => port >= MANY_FIRST && port <= last);
      if (open.length < count) throw new Error(`only ${open.length} of ${count} ports are open`);
      return Promise.resolve([running.readyMilliseconds]);
    },
  };
}

/** What one more open connection costs the engine, in anonymous memory: never used, and once used. */
function spliceMemory(): Case {
  const row = { unit: "KiB", lowerIsBetter: true, want: { atMost: 4 } };
  return {
    name: "splice-memory",
    path: "loopback-in",
    forward: IN,
    mtu: 1500,
    link: PLAIN,
    without: ["direct"],
    rows: [
      { ...row, name: "splice-memory-idle" },
      { ...row, name: "splice-memory-used" },
    ],
    duration: () => 12,
    measure: async (scene) => {
      const anonymous = async (): Promise<number> => {
        await sleep(1000);
        return scene.running.pids().reduce((sum, pid) => sum + memoryOf(pid).anonymous, 0);
      };
      // The first ones pay for what is made once: compiled code, buffers, stocks of sockets.
      await hold(scene, 500, async () => undefined);
      const before = await anonymous();
      const after: number[] = [];
      await hold(scene, CONNECTIONS, async () => void after.push(await anonymous()));
      return after.map((megabytes) => ((megabytes - before) * 1e6) / 1024 / CONNECTIONS);
    },
  };
}

/** Opens connections and calls `look` when all are open, and again when each has carried a byte in both directions. */
async function hold(scene: Scene, count: number, look: () => Promise<unknown>): Promise<void> {
  const server = await loadServer(scene, "hold-server", "0A", String(count));
  const client = start(loadClientCommand(scene, "hold-client", [String(count)]));
  try {
    for (const stage of ["open", "used"]) {
      await until(`${count} connections to be ${stage}`, scene.seconds + 10, () => {
        if (client.status() !== undefined) throw new Error(`client ended: ${client.output().stderr}`);
        return client.output().stdout.includes(stage);
      });
      await look();
    }
  } finally {
    await client.stop();
    await server.stop();
  }
}
