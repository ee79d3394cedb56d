/** A host whose network comes and goes, and what that comes to inside. The network is that of network.ts. */
import { expect } from "@jest/globals";
import { sleep, type Space } from "./space.ts";

/** From a change of the host to that of the container. */
const DEADLINE_MS = 2_000;
const POLL_MS = 20;

/** Commands for "outside": nothing works any more. */
export const NO_NETWORK = "ip link set eth0 down; ip address flush dev eth0";
export const LINK_UP = "ip link set eth0 up";
/** What the host has of each family, on a link that is up. */
export const NETWORK_4 = `ip address add 198.51.100.2/24 dev eth0; ip route replace default via 198.51.100.1`;
export const NETWORK_6 = `ip address add 2001:db8:1::2/64 dev eth0 nodad; ip route replace default via 2001:db8:1::1`;
/** The same inside. */
export const ADDRESS_4 = "198.51.100.2/24";
export const ADDRESS_6 = "2001:db8:1::2/64";
export const ROUTES_4 = ["198.51.100.0/24", "default via 198.51.100.1"];
export const ROUTES_6 = ["2001:db8:1::/64", "default via 2001:db8:1::1"];

/** All of it. */
export const BOTH = {
  addresses: [ADDRESS_4, ADDRESS_6],
  deprecated: [],
  routes: [...ROUTES_4, ...ROUTES_6].toSorted(),
};

/** Another cable to the router, by name; the host's addresses are 198.51.100.130 and 2001:db8:3::2. */
export const secondCable = (name = "wan0"): string => `
  ip link add ${name} type veth peer name near0 netns router
  nsenter --net=/run/netns/router sh -ec '
    ip link set near0 up
    ip address add 198.51.100.129/25 dev near0
    ip address add 2001:db8:3::1/64 dev near0 nodad'
  ip link set ${name} up
  ip address add 198.51.100.130/25 dev ${name}
  ip address add 2001:db8:3::2/64 dev ${name} nodad`;

/** Default routes over it. */
export const SECOND_DEFAULTS = `ip route add default via 198.51.100.129; ip route add default via 2001:db8:3::1`;
/** What all of that comes to inside. */
export const SECOND = {
  mtu: 1500,
  addresses: ["198.51.100.130/25", "2001:db8:3::2/64"],
  routes: ["198.51.100.128/25", "2001:db8:3::/64", "default via 198.51.100.129", "default via 2001:db8:3::1"],
};

/** What a container has besides the loopback interface. */
export interface Inside {
  readonly name: string;
  readonly mtu: number;
  /** Of global scope, sorted. */
  readonly addresses: readonly string[];
  readonly deprecated: readonly string[];
  /** As `ip route` prints them, without what is the same for all; sorted. */
  readonly routes: readonly string[];
}

interface Link {
  readonly ifname: string;
  readonly mtu: number;
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
    readonly deprecated?: boolean;
  }[];
}

export async function inside(space: Space): Promise<Inside> {
  const [links, ...routes] = (await space.run("ip -j address; echo; ip -o route; ip -o -6 route")).split(
    "\n",
  );
  const link = (JSON.parse(links) as Link[]).find(({ ifname }) => ifname !== "lo");
  const addresses = link?.addr_info.filter(({ scope }) => scope === "global") ?? [];
  const named = (isDeprecated: boolean): string[] =>
    addresses
      .filter(({ deprecated = false }) => deprecated === isDeprecated)
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
      .toSorted();
  return {
    name: link?.ifname ?? "",
    mtu: link?.mtu ?? 0,
    addresses: named(false),
    deprecated: named(true),
    routes: routes
      .map(shortRoute)
      .filter((line) => line !== "" && !line.startsWith("fe80::/64"))
      .toSorted(),
  };
}

const shortRoute = (line: string): string =>
  line
    .replaceAll(/ (dev|proto|src|scope|pref|error) \S+/g, "")
    .replace(/ metric (256|1024)\b/, "")
    .replaceAll(/\\|\s+/g, " ")
    .replaceAll(/ {2,}/g, " ")
    .trim();

/** Waits until a container has what is wanted of it; in values or in what Jest has to match them. */
export async function expectInside(
  space: Space,
  wanted: Partial<Record<keyof Inside, unknown>>,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  await expectSoon(async () => {
    expect(await inside(space)).toMatchObject(wanted);
  }, deadlineMs);
}

/** Tries until it does not throw. */
export async function expectSoon(check: () => Promise<void>, deadlineMs = DEADLINE_MS): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (cause) {
      if (Date.now() > deadline) throw cause;
    }
    await sleep(POLL_MS);
  }
}
