// What is measured, and what is wanted of it.
import { setTimeout as sleep } from "node:timers/promises";
import type { Path } from "./ends.ts";
import type { LinkOptions, Namespace } from "./namespaces.ts";
import { cpuSeconds, memoryOf, until } from "./process.ts";
import type { Running, Subject } from "./subjects.ts";
import { iperf, loadClient, loadServer, parseLoad, type Talk } from "./traffic.ts";

/** A row of the result table. */
export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly lowerIsBetter?: boolean;
  /** Wanted of bucatini: at least these multiples of direct and of pasta, or at most this value. */
  readonly want?: { readonly direct?: number; readonly pasta?: number; readonly atMost?: number };
}

/** What a measurement works with. */
export interface Scene extends Talk {
  readonly running: Running;
  readonly container: Namespace;
  readonly idleSeconds: number;
  /** Executable of the engine under test. */
  readonly bucatini: string;
  /** Scratch folder. */
  readonly scratch: string;
}

export interface Case {
  readonly name: string;
  readonly path: Path;
  /** Ports that are forwarded, in words that bucatini and pasta both take; none when absent. */
  readonly forward?: readonly string[];
  /** MTU of the container's TAP; links always have 1500. */
  readonly mtu: number;
  readonly link: LinkOptions;
  readonly rows: readonly Row[];
  /** The subject is not started: the measurement itself calls programs. */
  readonly unconnected?: boolean;
  /** Subjects that cannot do this, or for which it makes no sense. */
  readonly without?: readonly Subject[];
  /** How long one sample takes, about, in seconds. */
  readonly duration: (seconds: number, idleSeconds: number) => number;
  /** One number for each row, in their order. */
  readonly measure: (scene: Scene) => Promise<number[]>;
}

/** Seconds of a run that are left out while congestion control finds the speed of a delayed link. */
const RAMP_SECONDS = 2;
export const PLAIN: LinkOptions = { delay: 0, congestion: "cubic" };

/** What starts inside, and the engine itself. `second` is bbr, or reno where the kernel has no bbr. */
export function outboundCases(second: "bbr" | "reno"): Case[] {
  const controls = ["cubic", second];
  const directions = ["in", "out"] as const;
  const delayed = (delay: number): Case[] =>
    [1500, 65520].flatMap((mtu) =>
      controls.flatMap((congestion) =>
        directions.map((direction) => tcpBulk(direction, mtu, { delay, congestion })),
      ),
    );
  return [
    ...delayed(0),
    ...delayed(20),
    requests("rr", { name: "request-response", path: "out" }, { pasta: 1.1 }),
    requests("crr", { name: "connect-request-close", path: "out" }, { pasta: 0.8 }),
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
  return bulk({ name, path: "out", mtu, link }, want, direction === "in", ramp);
}

/** One stream from the client to the server, or back; the first `ramp` seconds do not count. */
export function bulk(
  about: Pick<Case, "name" | "path" | "forward" | "mtu" | "link">,
  want: NonNullable<Row["want"]>,
  reverse = false,
  ramp = 0,
): Case {
  return {
    ...about,
    rows: [{ name: about.name, unit: "Gbit/s", want }],
    duration: (seconds) => seconds + ramp + 1.5,
    measure: async (scene) => {
      const options = ["--congestion", about.link.congestion, "--omit", String(ramp)];
      if (reverse) options.push("--reverse");
      const result = await iperf(scene, options, ramp);
      return [result.end.sum_received.bits_per_second / 1e9];
    },
  };
}

/** One byte to and fro: on one connection ("rr"), or each time on a new one ("crr"). */
export function requests(
  kind: "rr" | "crr",
  about: Pick<Case, "name" | "path" | "forward">,
  want: { pasta: number },
): Case {
  const { name } = about;
  return {
    ...about,
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
    path: "out",
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
    path: "out",
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
    path: "out",
    mtu: 1500,
    link: PLAIN,
    without: ["direct"],
    rows: [{ name: "start-to-ready", unit: "ms", lowerIsBetter: true }],
    duration: () => 1,
    measure: async ({ running }) => [running.readyMilliseconds],
  };
}

function idle(): Case {
  const lowerIsBetter = true;
  return {
    name: "idle",
    path: "out",
    mtu: 1500,
    link: PLAIN,
    without: ["direct"],
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
