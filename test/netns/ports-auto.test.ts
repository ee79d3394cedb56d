/** "auto": ports follow the programs that listen on them, soon, without loops, and at no cost. */
import { describe, expect, test } from "@jest/globals";
import { withNamespaces, withNetwork, type Network } from "../support/network.ts";
import { sleep, type Space } from "../support/space.ts";
import { useStage } from "../support/stage.ts";
import { enginePid } from "../support/subject.ts";

const stage = useStage();
const ALL = ["-t", "auto", "-u", "auto", "-T", "auto", "-U", "auto"];
/** What the product promises, and what a poll through a shell takes. */
const SOON_MS = 1000 + 300;
const IDLE_MS = 5000;

/** Milliseconds until somebody listens on a port of a namespace, or nobody does any more. */
async function waitFor(space: Space, kind: "t" | "u", port: number, isThere: boolean): Promise<number> {
  const began = Date.now();
  const look = `ss -Hln${kind} 'sport = :${port}' | grep -q .`;
  await space.run(`${isThere ? "until" : "while"} ${look}; do sleep 0.02; done`);
  return Date.now() - began;
}

const SIDES = [
  {
    name: "inwards",
    options: ALL.slice(0, 4),
    programs: (net: Network) => net.container,
    opened: (net: Network) => net.outside,
  },
  {
    name: "outwards",
    options: ALL.slice(4),
    programs: (net: Network) => net.outside,
    opened: (net: Network) => net.container,
  },
];

describe.each(SIDES)("$name", ({ options, programs, opened }) => {
  test("a port is there a second after its program, and gone a second after it", async () => {
    await withNetwork(stage(), { options }, async (net) => {
      for (const [kind, address] of [
        ["t", "TCP4-LISTEN:4001,reuseaddr"],
        ["t", "TCP6-LISTEN:4002,reuseaddr,ipv6only=1"],
        ["u", "UDP4-RECV:4003"],
      ] as const) {
        const port = Number(/:(\d+)/.exec(address)?.[1]);
        const program = await programs(net).start(`socat ${address} STDOUT`, { port });
        expect(await waitFor(opened(net), kind, port, true)).toBeLessThan(SOON_MS);
        await program.kill();
        expect(await waitFor(opened(net), kind, port, false)).toBeLessThan(SOON_MS);
      }
    });
  }, 60_000);
});

test("a TCP port opens the UDP port of the same number", async () => {
  await withNetwork(stage(), { options: ALL.slice(2, 4) }, async (net) => {
    await net.container.start("iperf3 -s", { port: 5201 });
    expect(await waitFor(net.outside, "u", 5201, true)).toBeLessThan(SOON_MS);
  });
}, 60_000);

test("programs that run already are there when the engine is ready", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside.start("socat TCP6-LISTEN:4001,ipv6only=0,fork EXEC:cat", { port: 4001 });
    await net.startContainer(ALL.slice(4));
    const echo = "echo hello | socat -t 2 - TCP4:127.0.0.1:4001; echo hello | socat -t 2 - TCP6:[::1]:4001";
    expect(await net.container.run(echo)).toBe("hello\nhello\n");
    await net.stopContainer();
  });
}, 60_000);

test("excluded and ephemeral ports stay closed", async () => {
  await withNetwork(stage(), { options: ["-t", "auto,~4001"] }, async (net) => {
    const ports = [4001, 40_000, 4002];
    for (const port of ports) await net.container.start(`socat TCP4-LISTEN:${port} STDOUT`, { port });
    await waitFor(net.outside, "t", 4002, true);
    expect(await net.outside.run("ss -Hlnt | awk '{ print $4 }' | sed 's/.*://'")).toBe("4002\n");
  });
}, 60_000);

test("both ways at once: no port keeps itself open", async () => {
  await withNetwork(stage(), { options: ALL }, async (net) => {
    const listeners = async (): Promise<string[]> =>
      Promise.all([net.outside, net.container].map(async (space) => space.run("ss -Hlntu")));
    const bind = ",bind=198.51.100.2";
    for (const program of [
      await net.container.start(`socat TCP4-LISTEN:4001${bind} STDOUT`, { port: 4001 }),
      await net.outside.start(`socat TCP4-LISTEN:4002${bind} STDOUT`, { port: 4002 }),
      await net.container.start(`socat UDP4-RECV:4003${bind} STDOUT`, { port: 4003 }),
      await net.outside.start(`socat UDP4-RECV:4004${bind} STDOUT`, { port: 4004 }),
    ]) {
      await sleep(1500);
      await program.kill();
    }
    await sleep(2 * SOON_MS);
    expect(await listeners()).toEqual(["", ""]);
  });
}, 60_000);

test("nothing changes: nothing is spent", async () => {
  await withNetwork(stage(), { options: ALL }, async (net) => {
    for (let port = 4001; port <= 4010; port++) await net.container.start(`socat TCP4-LISTEN:${port} STDOUT`);
    await waitFor(net.outside, "t", 4010, true);
    await sleep(2000);
    const pid = await enginePid(net);
    const spentMs = async (): Promise<number> => {
      const text = await net.outside.run(`cat /proc/${pid}/task/*/schedstat`);
      const nanoseconds = text
        .trim()
        .split("\n")
        .map((line) => Number(line.split(" ")[0]));
      return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6;
    };
    const before = await spentMs();
    await sleep(IDLE_MS);
    expect((await spentMs()) - before).toBeLessThan(IDLE_MS * 0.005);
  });
}, 60_000);
