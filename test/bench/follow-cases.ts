// How soon, and at what price, the container follows the host's network.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { PLAIN, type Case, type Scene } from "./cases.ts";
import { outside } from "./namespaces.ts";
import { cpuSeconds, memoryOf, run, start, until } from "./process.ts";
import { median } from "./report.ts";

/** Changes of the host in a sample. */
const CHANGES = 1_000;
const PAUSE_MS = 15;
const ROUTES = 1_000;

export function followCases(): Case[] {
  return [changes(), routes()];
}

const ABOUT = { path: "out", mtu: 1500, link: PLAIN, without: ["direct", "pasta", "slirp4netns"] } as const;
const lowerIsBetter = true;

/** From a route on the host, and from its end, to the same in the container; as `ip monitor` hears of both. */
function changes(): Case {
  return {
    ...ABOUT,
    name: "follow",
    rows: [
      { name: "follow-median", unit: "ms", lowerIsBetter, want: { atMost: 20 } },
      { name: "follow-worst", unit: "ms", lowerIsBetter, want: { atMost: 200 } },
    ],
    duration: () => (CHANGES * PAUSE_MS) / 1000 + 5,
    measure: async ({ container }) => {
      const monitor = ["ip", "-ts", "-o", "monitor", "route"];
      const monitors = [outside, container].map(({ enter }) => start([...enter, ...monitor]));
      await sleep(500);
      await run(["sh", "-c", CHANGING], 90);
      await sleep(1000);
      await Promise.all(monitors.map((each) => each.stop()));
      const [host = new Map<string, number>(), inside = new Map<string, number>()] = monitors.map((each) =>
        timesOf(each.output().stdout),
      );
      const delays = [...host].map(([change, time]) => (inside.get(change) ?? Infinity) - time);
      if (delays.length !== CHANGES) throw new Error(`${delays.length} of ${CHANGES} changes were heard of`);
      return [median(delays) ?? NaN, Math.max(...delays)];
    },
  };
}

/** Ten routes come, then the same go: what comes and goes between two looks is never seen, and need not be. */
const CHANGING = `for ten in $(seq ${CHANGES / 20}); do for verb in add del; do for one in $(seq 10); do
  ip route $verb 203.0.113.0/32 dev eth0 metric $((10 * ten + one)); sleep ${PAUSE_MS / 1000}
done; done; done`;

/** When `ip monitor` heard of each change, in ms. */
function timesOf(output: string): Map<string, number> {
  const times = new Map<string, number>();
  for (const line of output.split("\n")) {
    const match = /^\[(\S+)\] (Deleted )?203\.0\.113\.0 .*metric (\d+)/.exec(line);
    if (match !== null) times.set(`${match[2]}${match[3]}`, timeOf(match[1]));
  }
  return times;
}

/** Milliseconds of a time with microseconds. */
const timeOf = (text: string): number => Date.parse(`${text.slice(0, 19)}Z`) + Number(text.slice(19)) * 1000;

/** What a host with many routes costs, and what no event costs. */
function routes(): Case {
  return {
    ...ABOUT,
    name: "follow-routes",
    rows: [
      { name: `follow-${ROUTES}-routes-memory`, unit: "MB", lowerIsBetter, want: { atMost: 1 } },
      { name: `follow-${ROUTES}-routes-cpu`, unit: "ms", lowerIsBetter },
      { name: "follow-idle-wakeups", unit: "", lowerIsBetter, want: { atMost: 0 } },
    ],
    duration: (_, idleSeconds) => idleSeconds + 8,
    measure: async (scene) => {
      const engine = scene.running.pids().find((pid) => nameOf(pid).includes("engine")) ?? 0;
      await looks();
      const before = memoryOf(engine).anonymous;
      await changeRoutes("add");
      await until("the routes inside", 10, () => routesInside(scene) >= ROUTES);
      await looks();
      const memory = memoryOf(engine).anonymous - before;
      const cpu = cpuSeconds(engine);
      await looks();
      const spent = ((cpuSeconds(engine) - cpu) * 1000) / LOOKS;
      // The container's kernel asks for routers now and then; what it says has to be read.
      await run([...scene.container.enter, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_ra"]);
      await sleep(1000);
      const wakeups = switchesOf(engine);
      await sleep(scene.idleSeconds * 1000);
      const idle = switchesOf(engine) - wakeups;
      await changeRoutes("del");
      return [memory, spent, idle];
    },
  };
}

const LOOKS = 50;

/** Has the engine look at the host again and again. */
async function looks(): Promise<void> {
  const change = "ip address add 203.0.113.7/32 dev lo; ip address del 203.0.113.7/32 dev lo";
  await run(["sh", "-c", `for i in $(seq ${LOOKS}); do ${change}; sleep 0.1; done`], 30);
}

async function changeRoutes(verb: "add" | "del"): Promise<void> {
  const line = `route ${verb} 203.0.113.$((i % 250))/32 dev eth0 metric $((i + 1))`;
  await run(["sh", "-c", `for i in $(seq 0 ${ROUTES - 1}); do echo "${line}"; done | ip -batch -`], 30);
}

const routesInside = ({ container }: Scene): number =>
  readFileSync(`/proc/${container.pid}/net/route`, "utf8").split("\n").length;

const nameOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "utf8");

/** How often the main thread of a process has gone to sleep. */
function switchesOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1] ?? 0);
}
