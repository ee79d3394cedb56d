/**
 * What we say as a router (RFC 4861 section 6.2), where the container is to configure itself: when asked, now and then,
 * and at once when it is something else than before. What holds no more is advertised with lifetime zero for a while
 * (RFC 9096 section 3.3), so that a frame that got lost does no harm; that is all that is kept here.
 */
import {
  formatIp,
  inPrefix,
  isIpv4,
  isLinkLocal,
  isUnspecified,
  networkOf,
  type Prefix,
} from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { SideWord } from "../flow/table.ts";
import type { Address } from "../forward/address-rules.ts";
import { isRouterSolicitationValid, NDP_HOP_LIMIT } from "../wire/ndp.ts";
import {
  type AdvertisedPrefix,
  INFINITE_SECONDS,
  MAXIMUM_ROUTER_SECONDS,
  writeRouterAdvertisement,
} from "../wire/router-advertisement.ts";
import type { Link } from "./link.ts";
import { ALL_NODES, ALL_NODES_MAC, NdpOutput } from "./ndp-output.ts";
import { hasNdp, type Net } from "./net.ts";
import type { Output } from "./output.ts";

/** Unsolicited advertisements: MaxRtrAdvInterval, and a third of it (RFC 4861 section 6.2.1), in milliseconds. */
const INTERVAL_MAX_MS = 600_000;
const INTERVAL_MIN_MS = 200_000;
/** How often a change is told again, and how soon: MIN_DELAY_BETWEEN_RAS (RFC 4861 section 10). */
const REPEATS = 2;
const REPEAT_MS = 3_000;
/** How long it is said that something holds no more: as long as hosts may keep it (RFC 4862 section 5.5.3 e). */
const FORMER_MS = 7_200_000;
/** How many former states that is remembered of. */
const FORMER_MAX = 8;
/** Bits of an address that a host makes itself (RFC 4862). */
const AUTONOMOUS_PREFIX = 64;
/** What fits one advertisement without a larger MTU than every link has; resolvers shall find room, too. */
const ADVERTISEMENT_BYTES = 1240;
const PREFIXES_MAX = 16;
/** RFC 4191 section 4. */
const ROUTES_MAX = 17;

/** What is advertised, beside what is the same for ever. */
interface Contents {
  /** Our addresses on the link: one, or none where IPv6 is not carried. */
  routers: readonly Address[];
  /** How long we are a default router. */
  lifetimeSeconds: number;
  /** Whether addresses are to be had by DHCPv6. */
  managed: boolean;
  mtu: number;
  prefixes: readonly Prefix[];
  routes: readonly Prefix[];
  resolvers: readonly Address[];
  searchDomains: readonly string[];
}

export class Router {
  readonly #net: Net;
  readonly #output: Output;
  readonly #ndpOutput: NdpOutput;
  /** Random numbers in [0, 1). */
  readonly #random: () => number;
  /** When to advertise again, or -1; and how often it is still about the last change. */
  #advertiseAt = -1;
  #repeats = 0;
  /** What was advertised once, each as text as well, the latest last. */
  #former: { contents: Contents; text: string; untilMs: number }[] = [];

  constructor(net: Net, output: Output, random: () => number = Math.random) {
    this.#net = net;
    this.#output = output;
    this.#ndpOutput = new NdpOutput(net, output);
    this.#random = random;
  }

  /** Takes a router solicitation; `flows.key` has its addresses. */
  solicited(at: number, end: number): void {
    const { counters, flows, host, link } = this.#net;
    if (!isRouterSolicitationValid(host.arena.view, at, end)) return counters.add(Count.dropNdp);
    if (!link.routerAdvertisements) return;
    const { key } = flows;
    // Who has no address yet cannot be answered alone (RFC 4861 section 6.2.6).
    if (isUnspecified(key, SideWord.Endpoint)) this.#advertise(ALL_NODES, 0, ALL_NODES_MAC);
    else this.#advertise(key, SideWord.Endpoint, link.guestMac);
  }

  /**
   * Advertises at once when that is about something new. There is one container, and whoever follows the host does not
   * do it often: MIN_DELAY_BETWEEN_RAS is for links with many hosts.
   * @param before the link as it was
   */
  networkChanged(before: Link): void {
    if (!this.#isOn) return;
    const contents = contentsOf(before);
    const text = JSON.stringify(contents);
    if (text === JSON.stringify(contentsOf(this.#net.link))) return;
    const { nowMs } = this.#net.host;
    const rest = this.#former.filter((each) => each.untilMs > nowMs && each.text !== text);
    this.#former = [...rest, { contents, text, untilMs: nowMs + FORMER_MS }].slice(-FORMER_MAX);
    this.#repeats = REPEATS;
    this.#advertiseToAll();
  }

  /** Sends the unsolicited advertisement that is due. */
  expire(): void {
    const { host } = this.#net;
    if (!this.#isOn) return;
    // Not at once: whoever has just come asks.
    if (this.#advertiseAt < 0) this.#schedule();
    else if (host.nowMs >= this.#advertiseAt) this.#advertiseToAll();
  }

  /** Milliseconds until `expire` has something to do, or -1. */
  nextDelay(): number {
    if (this.#advertiseAt < 0) return -1;
    return Math.max(0, Math.ceil(this.#advertiseAt - this.#net.host.nowMs));
  }

  get #isOn(): boolean {
    return this.#net.link.routerAdvertisements && hasNdp(this.#net);
  }

  #advertiseToAll(): void {
    this.#advertise(ALL_NODES, 0, ALL_NODES_MAC);
    this.#schedule();
  }

  #schedule(): void {
    const { host, link } = this.#net;
    if (this.#repeats > 0) {
      this.#repeats--;
      this.#advertiseAt = host.nowMs + REPEAT_MS;
    } else if (link.v6.enabled) {
      const spread = this.#random() * (INTERVAL_MAX_MS - INTERVAL_MIN_MS);
      this.#advertiseAt = host.nowMs + INTERVAL_MIN_MS + spread;
    } else this.#advertiseAt = -1;
  }

  /** Sends what holds, then takes leave from addresses that we had (RFC 4861 section 6.2.8). */
  #advertise(destination: Uint32Array, at: number, mac: Uint8Array): void {
    const now = contentsOf(this.#net.link);
    const gone = this.#gone(now);
    for (const router of now.routers) this.#send(router, now, gone, destination, at, mac);
    // Routes go with the router that told them; all else with whoever says so last.
    const farewell = { ...gone, routes: [...gone.routes, ...now.routes] };
    for (const router of gone.routers) this.#send(router, NOTHING, farewell, destination, at, mac);
  }

  #send(
    router: Address,
    now: Contents,
    gone: Contents,
    destination: Uint32Array,
    at: number,
    mac: Uint8Array,
  ): void {
    const { view } = this.#net.host.arena;
    const start = this.#output.payloadAt;
    const length = writeRouterAdvertisement(view, start, start + ADVERTISEMENT_BYTES, {
      hopLimit: NDP_HOP_LIMIT,
      managed: now.managed,
      other: false,
      lifetimeSeconds: now.lifetimeSeconds,
      reachableMs: 0,
      retransmissionMs: 0,
      sourceMac: this.#output.neighbours.of(router, 0),
      mtu: now === NOTHING ? undefined : now.mtu,
      prefixes: [...now.prefixes.map(holding), ...gone.prefixes.map(ended)].slice(0, PREFIXES_MAX),
      routes: [
        ...now.routes.map((route) => ({ ...route, seconds: INFINITE_SECONDS })),
        ...gone.routes.map((route) => ({ ...route, seconds: 0 })),
      ].slice(0, ROUTES_MAX),
      resolvers: [
        { addresses: now.resolvers, seconds: INFINITE_SECONDS },
        { addresses: gone.resolvers, seconds: 0 },
      ],
      searchLists: [
        { domains: now.searchDomains, seconds: INFINITE_SECONDS },
        { domains: gone.searchDomains, seconds: 0 },
      ],
    });
    this.#ndpOutput.send(router, destination, at, mac, length);
  }

  /** What was advertised and is not any more, the latest first. */
  #gone(now: Contents): Contents {
    const { nowMs } = this.#net.host;
    const former = this.#former.filter(({ untilMs }) => untilMs > nowMs).toReversed();
    const all = former.map(({ contents }) => contents);
    return {
      ...NOTHING,
      routers: others(
        now.routers,
        all.flatMap(({ routers }) => routers),
        addressText,
      ),
      prefixes: others(
        now.prefixes,
        all.flatMap(({ prefixes }) => prefixes),
        prefixText,
      ),
      routes: others(
        now.routes,
        all.flatMap(({ routes }) => routes),
        prefixText,
      ),
      resolvers: others(
        now.resolvers,
        all.flatMap(({ resolvers }) => resolvers),
        addressText,
      ),
      searchDomains: others(
        now.searchDomains,
        all.flatMap(({ searchDomains }) => searchDomains),
        String,
      ),
    };
  }
}

const NOTHING: Contents = {
  routers: [],
  lifetimeSeconds: 0,
  managed: false,
  mtu: 0,
  prefixes: [],
  routes: [],
  resolvers: [],
  searchDomains: [],
};

function contentsOf({ v6, mtu, advertise }: Link): Contents {
  if (!v6.enabled) return NOTHING;
  const prefixes = unique(
    v6.assigned
      .map((each) => ({ address: networkOf(each, AUTONOMOUS_PREFIX), length: AUTONOMOUS_PREFIX }))
      .filter(({ address }) => !isLinkLocal(address)),
    prefixText,
  );
  // No default router where there is none outside (RFC 7084 section 4.1, G-4); nor for who has no address.
  const isDefault = v6.assigned.length > 0 && v6.routes.some(({ length }) => length === 0);
  return {
    routers: [v6.ours],
    // No shorter time makes sense: whatever ends, we say so (RFC 8319).
    lifetimeSeconds: isDefault ? MAXIMUM_ROUTER_SECONDS : 0,
    // Who asks for addresses before there are any would wait for long until it asks again.
    managed: v6.dhcp && v6.assigned.length > 0,
    mtu,
    prefixes,
    routes: v6.routes
      .filter((route) => route.length > 0 && !prefixes.some((prefix) => contains(prefix, route)))
      .toSorted((a, b) => a.length - b.length)
      .slice(0, ROUTES_MAX),
    resolvers: advertise.resolvers.filter((words) => !isIpv4(words)),
    searchDomains: advertise.searchDomains,
  };
}

const contains = (prefix: Prefix, { address, length }: Prefix): boolean =>
  length >= prefix.length && inPrefix(address, prefix.address, prefix.length);

const addressText = (words: Address): string => formatIp(words);
const prefixText = ({ address, length }: Prefix): string => `${formatIp(address)}/${length}`;

/** Each of `some` once that is not one of `known`. */
function others<Value>(
  known: readonly Value[],
  some: readonly Value[],
  text: (value: Value) => string,
): Value[] {
  const texts = new Set(known.map(text));
  return unique(some, text).filter((value) => !texts.has(text(value)));
}

const unique = <Value>(values: readonly Value[], text: (value: Value) => string): Value[] => [
  ...new Map(values.map((value) => [text(value), value])).values(),
];

/** A prefix of the container's addresses, so that it makes more of them itself. */
const holding = (prefix: Prefix): AdvertisedPrefix => ({
  ...prefix,
  onLink: true,
  autonomous: true,
  validSeconds: INFINITE_SECONDS,
  preferredSeconds: INFINITE_SECONDS,
});

/** Hosts keep its addresses for their connections, but for two hours at most (RFC 4862 section 5.5.3 e). */
const ended = (prefix: Prefix): AdvertisedPrefix => ({
  ...holding(prefix),
  validSeconds: 0,
  preferredSeconds: 0,
});
