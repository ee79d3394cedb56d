/**
 * Whatever happens to the host's network, in whatever order: in the end the container has what a fresh start would give
 * it. Sequences follow from their number alone; SEED=n runs that one only.
 */
import { expect, test } from "@jest/globals";
import { withNamespaces, type Network } from "../support/network.ts";
import { sleep } from "../support/space.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const SEQUENCES = 100;
const EVENTS = 50;
/** From the last event to the right state. */
const DEADLINE_MS = 2_000;
/** What `ip` prints of a container, one line each. */
const PRINT = "ip -j address; echo; ip -j route; echo; ip -6 -j route; echo";

test(`after each of ${SEQUENCES} sequences of ${EVENTS} events all is as if newly started`, async () => {
  await withNamespaces(stage(), {}, async (net) => {
    await net.startContainer();
    await expect(runSequences(net, anyEvent, "")).resolves.toBeUndefined();
  });
}, 240_000);

test("a connection from an address that stays goes on through all of it", async () => {
  await withNamespaces(stage(), {}, async (net) => {
    const options = ["--interface", "eth0", "--map-host-loopback", "169.254.9.9"];
    await net.outside.start("socat TCP-LISTEN:7007,bind=127.0.0.1,fork,reuseaddr EXEC:cat", { port: 7007 });
    await net.startContainer(options);
    const talk = await net.container.start("socat - TCP:169.254.9.9:7007", {});
    let said = 0;
    const isAlive = async (): Promise<void> => {
      const line = `line ${++said}`;
      talk.child.stdin?.write(`${line}\n`);
      const deadline = Date.now() + 10_000;
      while (!talk.output().includes(line) && Date.now() < deadline) await sleep(20);
      expect(talk.output()).toContain(line);
    };
    await isAlive();
    const words = options.join(" ");
    await runSequences(net, (random) => event(random, ["wan0", "wan1", "eth0"], false), words, 10, isAlive);
  });
}, 120_000);

const anyEvent = (random: () => number): string => event(random, ["wan0", "wan1", "wan2", "eth0"], true);

/** @param options of a fresh start */
async function runSequences(
  net: Network,
  next: (random: () => number) => string,
  options: string,
  count = SEQUENCES,
  check = async (): Promise<void> => {},
): Promise<void> {
  const only = process.env["SEED"];
  const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];
  for (const seed of seeds) {
    const random = generator(seed);
    const events = Array.from({ length: EVENTS }, () => next(random));
    await net.outside.run(`ip -force -batch - 2>/dev/null <<'END' || true\n${events.join("\n")}\nEND`);
    await isAsNew(net, options, `SEED=${seed}\n${events.join("\n")}`);
    await check();
  }
}

/** Waits until the container has what a new one gets. */
async function isAsNew(net: Network, options: string, explanation: string): Promise<void> {
  const start = Date.now();
  const fresh = await net.user.run(`${net.stage.bucatini} run ${options} -- sh -c '${PRINT}' 2>/dev/null`);
  const wanted = normalize(fresh);
  for (;;) {
    const actual = normalize(await net.container.run(PRINT));
    if (JSON.stringify(actual) === JSON.stringify(wanted)) return;
    if (Date.now() - start > DEADLINE_MS) {
      expect({ explanation, ...actual }).toEqual({ explanation, ...wanted });
      return;
    }
    await sleep(20);
  }
}

/**
 * What must be the same: not names, nor who of a subnet's addresses came first, nor that a gateway is on the link, which
 * has to be said only while no prefix says it, nor whether the kernel made the route to a prefix or we did in its place.
 */
function normalize(printed: string): { mtu: number; addresses: string[]; routes: string[] } {
  const [links, ...routes] = printed.split("\n").filter((line) => line !== "");
  const parsed = JSON.parse(links) as { ifname: string; mtu: number; addr_info: IpAddress[] }[];
  const link = parsed.find(({ ifname }) => ifname !== "lo");
  return {
    mtu: link?.mtu ?? 0,
    addresses: (link?.addr_info ?? [])
      .filter(({ scope, deprecated }) => scope !== "link" && deprecated !== true)
      .map(({ local, prefixlen, noprefixroute }) => `${local}/${prefixlen} ${noprefixroute === true}`)
      .toSorted(),
    routes: [
      ...new Set(
        routes
          .flatMap((text) => JSON.parse(text) as Record<string, unknown>[])
          .filter(({ dst }) => dst !== "fe80::/64")
          .map(({ dev: _dev, prefsrc: _prefsrc, flags: _flags, protocol: _protocol, nexthops, ...route }) =>
            JSON.stringify({ ...route, nexthops: withoutDevice(nexthops) }),
          ),
      ),
    ].toSorted(),
  };
}

interface IpAddress {
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly deprecated?: boolean;
  readonly noprefixroute?: boolean;
}

const withoutDevice = (nexthops: unknown): unknown =>
  (nexthops as Record<string, unknown>[] | undefined)?.map(
    ({ dev: _dev, flags: _flags, ...nexthop }) => nexthop,
  );

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One line for `ip -batch`; many make no sense at their moment, which is part of it. */
function event(random: () => number, links: readonly string[], withLinks: boolean): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)];
  const link = pick(links);
  const subnet = 64 * below(4);
  const four = `203.0.113.${subnet + 1 + below(5)}/26`;
  const six = `2001:db8:${10 + below(3)}::${1 + below(4)}/64`;
  const gateway4 = `203.0.113.${subnet + 60}`;
  const gateway6 = pick([`2001:db8:${10 + below(3)}::99`, "fe80::99"]);
  const prefix = pick(["198.51.100.128/26", "198.51.100.192/26", "203.0.113.250/32"]);
  const metric = pick(["", " metric 50", " metric 600"]);
  const verb = pick(["add", "add", "replace", "del"]);
  const kinds = [
    () => `address ${verb} ${four} dev ${link}`,
    () => `address ${verb} ${four} dev ${link} noprefixroute`,
    () => `address ${verb} ${six} dev ${link} nodad`,
    () => `route ${verb} default via ${gateway4} dev ${link}${metric}`,
    () => `route ${verb} default via ${gateway4} dev ${link} onlink${metric}`,
    () => `route ${verb} default dev ${link} metric 900`,
    () => `route ${verb} ::/0 via ${gateway6} dev ${link}${metric}`,
    () => `route ${verb} ${prefix} via ${gateway4} dev ${link}${metric}`,
    () => `route ${verb} ${prefix} dev ${link} mtu 1300`,
    () => `route ${verb} 203.0.113.60/32 dev ${link}`,
    // In the place of those that the kernel makes for addresses.
    () => `route ${verb} 203.0.113.${subnet}/26 dev ${link} mtu 1300`,
    () => `route ${verb} 2001:db8:${10 + below(3)}::/64 dev ${link} metric 256 mtu 1300`,
    () => `route ${verb} 2001:db8:77::/48 via ${gateway6} dev ${link}${metric}`,
    () =>
      `route ${verb} ${prefix} nexthop via ${gateway4} dev ${link} weight 2 nexthop via 203.0.113.59 dev ${link}`,
    () => `rule ${pick(["add", "del"])} from 203.0.113.1 pref 100 table main`,
    () => `link set ${link} mtu ${pick([1000, 1280, 1400, 1500])}`,
    () => `link set ${link} down`,
    () => `link set ${link} up`,
    () => `link set ${link} up`,
  ];
  if (!withLinks) return pick(kinds)();
  const other = pick(["wan0", "wan1", "wan2"]);
  kinds.push(
    () => `link add ${other} type veth peer name far-${other}`,
    () => `link set far-${other} up`,
    () => `link del ${other}`,
    () => `link set ${other} name new-${other}`,
    () => `link set new-${other} name ${other}`,
  );
  return pick(kinds)();
}
