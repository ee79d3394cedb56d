// How long the short-lived programs take: what container engines call again and again, and wait for.
import { realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PLAIN, type Case, type Scene } from "./cases.ts";
import { openContainer, type Namespace } from "./namespaces.ts";
import { start } from "./process.ts";
import { median } from "./report.ts";

/** Calls of each kind in a sample, which is their median. */
const TURNS = 10;
const TOGETHER = 50;
const CONFIG = JSON.stringify({ cniVersion: "1.1.0", name: "bench", type: "bucatini" });

export function startCases(): Case[] {
  const versions: [string, number, (scene: Scene) => Call][] = [
    ["cni-version", 1.5, (scene) => cni(scene, "VERSION")],
    ["pasta-version", 1.3, (scene) => ({ argv: [executable(scene, "bin/pasta"), "--version"] })],
  ];
  return [...versions.map(([name, ratio, call]) => besideNode(name, ratio, call)), addDel(), together()];
}

const ABOUT = {
  path: "out",
  mtu: 1500,
  link: PLAIN,
  without: ["direct", "pasta", "slirp4netns"],
  unconnected: true,
} as const;

/** A call, and how often its time is that of a Node.js that has nothing to do, turn by turn. */
function besideNode(name: string, ratio: number, call: (scene: Scene) => Call): Case {
  return {
    ...ABOUT,
    name,
    rows: [
      { name, unit: "ms", lowerIsBetter: true },
      { name: `${name}-to-empty-node`, unit: "times", lowerIsBetter: true, want: { atMost: ratio } },
    ],
    duration: () => 2,
    measure: async (scene) => {
      const [ours = NaN, node = NaN] = await inTurn([call(scene), emptyNode(scene)]);
      return [ours, ours / node];
    },
  };
}

function addDel(): Case {
  return {
    ...ABOUT,
    name: "cni-add-del",
    rows: [
      { name: "cni-add", unit: "ms", lowerIsBetter: true, want: { atMost: 150 } },
      { name: "cni-del", unit: "ms", lowerIsBetter: true, want: { atMost: 100 } },
      { name: "empty-node", unit: "ms", lowerIsBetter: true },
    ],
    duration: () => 5,
    measure: (scene) => {
      const { container } = scene;
      return inTurn([cni(scene, "ADD", container), cni(scene, "DEL", container), emptyNode(scene)]);
    },
  };
}

/** Many containers at the same time, until the last one is ready, and until the last one is gone. */
function together(): Case {
  const name = `cni-${TOGETHER}`;
  return {
    ...ABOUT,
    name,
    rows: [
      { name: `${name}-add`, unit: "ms", lowerIsBetter: true, want: { atMost: 6000 } },
      { name: `${name}-del`, unit: "ms", lowerIsBetter: true },
    ],
    duration: () => 15,
    measure: async (scene) => {
      const containers = await Promise.all(Array.from({ length: TOGETHER }, openContainer));
      try {
        const all = async (verb: "ADD" | "DEL"): Promise<number> => {
          const begin = performance.now();
          await Promise.all(containers.map(async (container) => timeOf(cni(scene, verb, container))));
          return performance.now() - begin;
        };
        return [await all("ADD"), await all("DEL")];
      } finally {
        await Promise.all(containers.map(async (container) => container.stop()));
      }
    },
  };
}

interface Call {
  readonly argv: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
}

/** A call of the CNI plugin as a runtime makes it. */
function cni(scene: Scene, verb: string, container?: Namespace): Call {
  const env = {
    ...process.env,
    CNI_COMMAND: verb,
    CNI_CONTAINERID: container === undefined ? "" : `c${container.pid}`,
    CNI_NETNS: container === undefined ? "dummy" : `/proc/${container.pid}/ns/net`,
    CNI_IFNAME: "eth0",
    CNI_ARGS: "",
    CNI_PATH: "/opt/cni/bin",
  };
  return { argv: [executable(scene, "cni/bucatini")], env, input: CONFIG };
}

function emptyNode(scene: Scene): Call {
  const file = join(scene.scratch, "empty.cjs");
  writeFileSync(file, "");
  return { argv: [process.execPath, file] };
}

/** Beside dist/bin/bucatini. */
function executable(scene: Scene, file: string): string {
  return join(dirname(realpathSync(scene.bucatini)), "..", file);
}

/** The calls one after the other, again and again; returns the median of each in ms. The first turn does not count. */
async function inTurn(calls: readonly Call[]): Promise<number[]> {
  const times: number[][] = calls.map(() => []);
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [index, call] of calls.entries()) {
      const time = await timeOf(call);
      if (turn > 0) times[index]?.push(time);
    }
  }
  return times.map((each) => median(each) ?? NaN);
}

/** From the start of a program to its end, in ms. @throws Error when it fails */
async function timeOf({ argv, env, input }: Call): Promise<number> {
  // What Node.js is told here is nothing that it would be told by a container engine.
  const plain = Object.fromEntries(
    Object.entries(env ?? process.env).filter(([name]) => !name.startsWith("NODE_")),
  );
  const begin = performance.now();
  const child = start(argv, { env: plain, input });
  const status = await child.exited;
  const time = performance.now() - begin;
  if (status !== 0) {
    const { stdout, stderr } = child.output();
    throw new Error(`${argv.join(" ")} ended with status ${status}: ${stdout} ${stderr}`);
  }
  return time;
}
