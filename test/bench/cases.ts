// What is measured, and what is wanted of it.
import { existsSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type LinkOptions, type Namespace, SERVER, toolCommand } from "./namespaces.ts";
import { cpuSeconds, memoryOf, run, start, until } from "./process.ts";
import type { Running } from "./subjects.ts";

/** A row of the result table. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly lowerIsBetter?: boolean;
  /** Wanted of bucatini: at least these multiples of direct and of pasta, or at most this value. */
  readonly want?: { readonly direct?: number; readonly pasta?: number; readonly atMost?: number };
}

/** What a measurement works with. */
export interface Scene {
  readonly container: Namespace;
  readonly peer: Namespace;
  readonly running: Running;
  readonly family: 4 | 6;
  readonly seconds: number;
  readonly idleSeconds: number;
}

export interface Case {
  readonly name: string;
  /** MTU of the container's TAP; links always have 1500. */
  readonly mtu: number;
  readonly link: LinkOptions;
  readonly rows: readonly Row[];
  /** Makes no sense without an engine. */
  readonly enginesOnly?: boolean;
  /** How long one sample takes, about, in seconds. */
  readonly duration: (seconds: number, idleSeconds: number) => number;
  /** One number for each row, in their order. */
  readonly measure: (scene: Scene) => Promise<number[]>;
}

const IPERF_PORT = 5201;
const LOAD_PORT = 5300;
/** Seconds of a run that are left out while congestion control finds the speed of a delayed link. */
const RAMP_SECONDS = 2;
const PLAIN: LinkOptions = { delay: 0, congestion: "cubic" };

/** All cases in the order in which they run. `second` is bbr, or reno where the kernel has no bbr. */
export function allCases(second: "bbr" | "reno"): Case[] {
  const controls = ["cubic", second];
  const directions = ["in", "out"] as const;
  const bulk = (delay: number): Case[] =>
    [1500, 65520].flatMap((mtu) =>
      controls.flatMap((congestion) =>
        directions.map((direction) => tcpBulk(direction, mtu, { delay, congestion })),
      ),
    );
  return [
    ...bulk(0),
    ...bulk(20),
    requests("rr", { pasta: 1.1 }),
    requests("crr", { pasta: 0.8 }),
    ...[64, 1400].flatMap((size) => [
      udp(size, 1, { pasta: 1.5 }),
      udp(size, 100, { pasta: 0.9 }),
      udpIperf(size),
    ]),
    startTime(),
    idle(),
  ];
}

function tcpBulk(direction: "in" | "out", mtu: number, link: LinkOptions): Case {
  const name = `tcp-${direction}-${mtu}-${link.congestion}${link.delay === 0 ? "" : `-${link.delay}ms`}`;
  const want = link.delay === 0 ? { direct: 0.5, pasta: 1 } : { direct: 0.8 };
  const ramp = link.delay === 0 ? 0 : RAMP_SECONDS;
  return {
    name,
    mtu,
    link,
    rows: [{ name, unit: "Gbit/s", want }],
    duration: (seconds) => seconds + ramp + 1.5,
    measure: async (scene) => {
      const options = ["--congestion", link.congestion, "--omit", String(ramp)];
      if (direction === "in") options.push("--reverse");
      const result = await iperf(scene, options, ramp);
      return [result.end.sum_received.bits_per_second / 1e9];
    },
  };
}

function requests(kind: "rr" | "crr", want: { pasta: number }): Case {
  const name = kind === "rr" ? "request-response" : "connect-request-close";
  return {
    name,
    mtu: 1500,
    link: PLAIN,
    rows: [{ name, unit: "per second", want }],
    duration: (seconds) => seconds + 2,
    measure: async (scene) => {
      const server = await loadServer(scene, `${kind}-server`, "0A");
      try {
        const result = await loadClient(scene, [`${kind}-client`]);
        if (result.errors > 0)
          throw new Error(`${result.errors} of ${result.count + result.errors} connections failed`);
        return [result.count / result.seconds];
      } finally {
        await server.stop();
      }
    },
  };
}

/** Datagrams to one port, from so many sockets in turn. */
function udp(size: number, flows: number, want: { pasta: number }): Case {
  const name = `udp-out-${size}${flows === 1 ? "" : `-${flows}flows`}`;
  return {
    name,
    mtu: 1500,
    link: PLAIN,
    rows: [{ name, unit: "packets/s", want }],
    duration: (seconds) => seconds + 3,
    measure: async (scene) => {
      const sink = await loadServer(scene, "udp-sink", "07");
      try {
        await loadClient(scene, ["udp-source", String(size), String(flows)]);
        await until("the last datagrams", 5, () => sink.status() !== undefined);
        const result = parseLoad(sink.output().stdout);
        if (result.count === 0) throw new Error("no datagram arrived");
        return [result.count / result.seconds];
      } finally {
        await sink.stop();
      }
    },
  };
}

/** The same with iperf3, whose receiver needs several calls for each datagram and is often what limits the figure. */
function udpIperf(size: number): Case {
  const name = `udp-out-${size}-iperf3`;
  return {
    name,
    mtu: 1500,
    link: PLAIN,
    rows: [{ name, unit: "packets/s", want: { pasta: 1.5 } }],
    duration: (seconds) => seconds + 1.5,
    measure: async (scene) => {
      const { sum } = (await iperf(scene, ["--udp", "--bandwidth", "0", "--length", String(size)], 0)).end;
      return [(sum.packets - sum.lost_packets) / sum.seconds];
    },
  };
}

function startTime(): Case {
  return {
    name: "start",
    mtu: 1500,
    link: PLAIN,
    enginesOnly: true,
    rows: [{ name: "start-to-ready", unit: "ms", lowerIsBetter: true }],
    duration: () => 1,
    measure: async ({ running }) => [running.readyMilliseconds],
  };
}

function idle(): Case {
  const lowerIsBetter = true;
  return {
    name: "idle",
    mtu: 1500,
    link: PLAIN,
    enginesOnly: true,
    rows: [
      { name: "idle-anonymous-memory", unit: "MB", lowerIsBetter, want: { atMost: 12 } },
      { name: "idle-private-memory", unit: "MB", lowerIsBetter },
      { name: "idle-cpu", unit: "ms", lowerIsBetter, want: { atMost: 20 } },
    ],
    duration: (_, idleSeconds) => idleSeconds + 3,
    measure: async ({ running, idleSeconds }) => {
      await sleep(2000);
      const cpu = (): number => running.pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
      const before = cpu();
      await sleep(idleSeconds * 1000);
      const spent = (cpu() - before) * 1000;
      const memory = running.pids().map((pid) => memoryOf(pid));
      return [
        memory.reduce((sum, each) => sum + each.anonymous, 0),
        memory.reduce((sum, each) => sum + each.private, 0),
        spent,
      ];
    },
  };
}

interface IperfResult {
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number };
    readonly sum: { readonly packets: number; readonly lost_packets: number; readonly seconds: number };
  };
}

/** iperf3, one stream, from the container to a server in the peer that serves once. */
async function iperf(scene: Scene, options: readonly string[], extraSeconds: number): Promise<IperfResult> {
  const port = String(IPERF_PORT);
  // Bound to the address that clients use: answers to UDP would else leave with that of another interface.
  const address = SERVER[scene.family];
  const server = start([
    ...scene.peer.enter,
    "iperf3",
    "--server",
    "--one-off",
    "--port",
    port,
    "--bind",
    address,
  ]);
  try {
    await until("the iperf3 server", 5, () => isBound(scene.peer.pid, IPERF_PORT, "0A"));
    const time = ["--time", String(scene.seconds), "--connect-timeout", "3000", "--json"];
    const client = ["iperf3", "--client", address, "--port", port, ...time, ...options];
    const { stdout } = await run([...scene.container.enter, ...client], scene.seconds + extraSeconds + 8);
    return JSON.parse(stdout) as IperfResult;
  } finally {
    await server.stop();
  }
}

interface LoadResult {
  readonly count: number;
  readonly seconds: number;
  readonly errors: number;
}

function parseLoad(text: string): LoadResult {
  return JSON.parse(text) as LoadResult;
}

async function loadServer(scene: Scene, mode: string, state: string): Promise<ReturnType<typeof start>> {
  const seconds = String(scene.seconds + 5);
  const args = [mode, SERVER[scene.family], String(LOAD_PORT), seconds];
  const server = start([...scene.peer.enter, ...toolCommand("load.ts", args)]);
  await until("the load server", 5, () => {
    if (server.status() !== undefined) throw new Error(`load server ended: ${server.output().stderr}`);
    return isBound(scene.peer.pid, LOAD_PORT, state);
  });
  return server;
}

async function loadClient(scene: Scene, [mode = "", ...rest]: readonly string[]): Promise<LoadResult> {
  const args = [mode, SERVER[scene.family], String(LOAD_PORT), String(scene.seconds), ...rest];
  return parseLoad(
    (await run([...scene.container.enter, ...toolCommand("load.ts", args)], scene.seconds + 8)).stdout,
  );
}

/** Is a socket in the state (0A listening TCP, 07 unconnected UDP) bound to the port in the namespace of a process? */
function isBound(pid: number, port: number, state: string): boolean {
  const protocol = state === "0A" ? "tcp" : "udp";
  const pattern = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, "0")} [\\dA-F]+:0000 ${state} `);
  return ["", "6"].some((family) => {
    const path = `/proc/${pid}/net/${protocol}${family}`;
    return existsSync(path) && pattern.test(readFileSync(path, "utf8"));
  });
}
