/** Storms of events, on the host and inside, cost a share of a processor that is bounded, and end in the right state. */
import { expect, test } from "@jest/globals";
import { expectInside } from "../support/following.ts";
import { withNamespaces, type Network } from "../support/network.ts";
import { sleep } from "../support/space.ts";
import { useStage } from "../support/stage.ts";
import { enginePid, engineState } from "../support/subject.ts";

const stage = useStage();
const SECONDS = 10;
const EVENTS_PER_SECOND = 10_000;
const BURSTS_PER_SECOND = 20;
/** Of one processor; by design it is a tenth, beside what it takes to be woken and to read packets. */
const SHARE = 0.3;
/** Clock ticks a second in /proc (USER_HZ). */
const TICKS = 100;
/** Routes, and what the engine's memory is at most: if it kept them it would be several times that. */
const MANY = 100_000;
const MANY_KIB = 80_000;

/** Adds and deletes routes all the time, through `link`. */
const storm = (link: string): string => `
  for i in $(seq ${EVENTS_PER_SECOND / BURSTS_PER_SECOND / 2}); do
    echo "route add 203.0.113.$((i % 250))/32 dev ${link}"; echo "route del 203.0.113.$((i % 250))/32 dev ${link}"
  done > /run/tmp/storm
  for i in $(seq ${SECONDS * BURSTS_PER_SECOND}); do
    ip -force -batch /run/tmp/storm 2>/dev/null; sleep ${1 / BURSTS_PER_SECOND}
  done
  rm /run/tmp/storm`;

/** Seconds of processor that a process of "outside" has taken. */
async function processorSeconds(net: Network, pid: number): Promise<number> {
  const stat = await net.outside.run(`cat /proc/${pid}/stat`);
  const [, , , , , , , , , , , user, system] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(user) + Number(system)) / TICKS;
}

async function share(net: Network, during: () => Promise<unknown>): Promise<number> {
  const pid = await enginePid(net);
  const start = performance.now();
  const before = await processorSeconds(net, pid);
  await during();
  const seconds = (performance.now() - start) / 1000;
  return ((await processorSeconds(net, pid)) - before) / seconds;
}

test.each(["outside", "container"] as const)(
  "ten thousand events a second, %s",
  async (where) => {
    await withNamespaces(stage(), {}, async (net) => {
      await net.startContainer();
      const spent = await share(net, () => net[where].run(storm("eth0")));
      expect(spent).toBeLessThan(SHARE);
      await net.outside.run("ip address add 203.0.113.7/32 dev eth0; ip route add 203.0.113.8/32 dev eth0");
      const deadline = Date.now() + 2_000;
      let routes = "";
      while (!/203.0.113.8 dev eth0/.test(routes) && Date.now() < deadline) {
        await sleep(20);
        routes = await net.container.run("ip route; ip -br address show dev eth0");
      }
      expect(routes).toMatch(/^203.0.113.8 dev eth0 /m);
      expect(routes).toContain("203.0.113.7/32");
      expect(routes.match(/^203/gm)).toHaveLength(1);
    });
  },
  60_000,
);

test("a hundred thousand routes of the container's own cost the engine next to nothing", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer();
    await net.container.run(`awk 'BEGIN { for (i = 0; i < ${MANY}; i++)
        printf "route add 10.%d.%d.%d/32 dev eth0\\n", i / 65536, i / 256 % 256, i % 256 }' > /run/tmp/many
      ip -batch /run/tmp/many; rm /run/tmp/many`);
    await net.outside.run("ip address add 203.0.113.7/32 dev eth0");
    await expectInside(net.container, { addresses: expect.arrayContaining(["203.0.113.7/32"]) }, 20_000);
    expect((await engineState(net)).privateKiB).toBeLessThan(MANY_KIB);
  });
}, 60_000);
