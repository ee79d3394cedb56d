/**
 * Gives the container's link what a plan wants, through a netlink socket that was made inside: at the start and after
 * every change, always from what there is now. What is configured inside by others stays theirs.
 */
import { constants } from "node:os";
import { SysError } from "../base/errors.ts";
import {
  AddressFlag,
  type Family,
  LinkFlag,
  MAIN_TABLE,
  type NetworkAddress,
  type NetworkLink,
  OUR_PROTOCOL,
  type Route,
  Scope,
} from "../base/network.ts";
import type { FamilyPlan, NetworkPlan, PlannedAddress } from "../config/network-plan.ts";
import {
  addressChanges,
  addressKey,
  areSameRoutes,
  routeChanges,
  routeKey,
  routeTarget,
  sharedTargets,
  wantedRoutes,
} from "../config/reconcile.ts";
import type { Netlink } from "../kernel/netlink.ts";
import {
  changeAddress,
  changeLink,
  deleteAddress,
  deleteRoute,
  dumpAddresses,
  dumpLinks,
  DumpCache,
  dumpRoutes,
} from "../kernel/rtnetlink.ts";
import { describeRoute, installRoutes, type RefusedRoute } from "./install-routes.ts";

/** Removing an address can take others with it, which then have to come back. */
const ROUNDS_MAX = 4;
/** An address that has left the host stays for its connections, deprecated, for so long at most. */
const GRACE_MS = 30_000;
/** What every link-local address has (RFC 4291 section 2.5.6). */
const LINK_PREFIX = { prefixLength: 64, noPrefixRoute: false, metric: 0, deprecated: false };
const { ESRCH, EADDRNOTAVAIL, ENODEV, ENXIO } = constants.errno;
/** What is to go away has gone; with a small MTU all of IPv6 (ENXIO). */
const GONE = [ESRCH, EADDRNOTAVAIL, ENODEV, ENXIO];

/** What came of a plan. */
export interface Reconciled {
  /** Whether there is IPv6: it may be wanted and switched off inside. */
  ipv6: boolean;
  /** Addresses that the container no longer has. */
  removed: string[];
  /** What the container cannot have, one sentence each. */
  warnings: string[];
  /** What went wrong and should be tried again, one sentence each; the rest has been done. */
  failures: string[];
}

export interface ReconcilerOptions {
  netlink: Netlink;
  interfaceIndex: number;
  /** The link-local address that the container has from us; absent: the kernel makes one. */
  linkLocal?: string | undefined;
  /** What has been put there at the start. */
  added?: readonly PlannedAddress[];
  /** Whether something still uses an address that is to go. */
  isInUse?: (address: string) => boolean;
  /** Takes what the kernel has told of the container so far; says whether the link was down meanwhile. */
  wasDown?: () => boolean;
}

/** What there should be inside. */
interface Wanted {
  addresses: readonly NetworkAddress[];
  routes: readonly Route[];
}

/** What there is inside. */
interface Actual {
  link: NetworkLink;
  addresses: NetworkAddress[];
  /** Ours, and those that lead where ours do or should. */
  routes: Route[];
  /** Keys of the routes. */
  keys: ReadonlySet<string>;
}

/** What one round did. */
interface Round {
  isChanged: boolean;
  refused: RefusedRoute[];
}

export class Reconciler {
  readonly #netlink: Netlink;
  readonly #index: number;
  readonly #linkLocal: string | undefined;
  readonly #isInUse: (address: string) => boolean;
  readonly #wasDown: () => boolean;
  readonly #routes = new DumpCache<Route>();
  /** Keys of addresses that we put there, for kernels that keep no mark. */
  readonly #added: Set<string>;
  /** What was wanted and what was there when we looked last. */
  #wanted: Wanted = { addresses: [], routes: [] };
  #actual: Actual | undefined;
  /** What was taken away inside, and stays away: keys of addresses, targets of routes. */
  readonly #gone = new Set<string>();
  /** Where both we and somebody inside lead. */
  #shared: ReadonlySet<string> = new Set();
  /** Deprecated addresses by key, and until when they stay. */
  readonly #retiring = new Map<string, number>();
  #isFlushed = false;
  /** The MTU that we set last; another one is the container's own choice. */
  #mtu: number | undefined;

  constructor({ netlink, interfaceIndex, linkLocal, added, isInUse, wasDown }: ReconcilerOptions) {
    this.#netlink = netlink;
    this.#index = interfaceIndex;
    this.#linkLocal = linkLocal;
    this.#added = new Set(added?.map(addressKey));
    this.#isInUse = isInUse ?? (() => false);
    this.#wasDown = wasDown ?? (() => false);
  }

  /** Whether addresses wait for their last connection: then this should be asked again in a while. */
  get isRetiring(): boolean {
    return this.#retiring.size > 0;
  }

  /** Applies a plan. Throws SysError when the container's kernel cannot be asked. */
  reconcile(plan: NetworkPlan, nowMs: number): Reconciled {
    const result: Reconciled = {
      ipv6: plan.ipv6.enabled,
      removed: [],
      warnings: [],
      failures: [],
    };
    const planned = { addresses: this.#wantedAddresses(plan), routes: wantedRoutes(plan) };
    let refused: RefusedRoute[] = [];
    for (let i = 0; i < ROUNDS_MAX; i++) {
      const actual = i === 0 ? this.#readFirst(planned.routes) : this.#read(planned.routes);
      if (actual === undefined) return result;
      const { hasIpv6 } = actual.link;
      result.ipv6 = plan.ipv6.enabled && hasIpv6;
      const wanted = hasIpv6 ? planned : ofIpv4(planned);
      this.#wanted = wanted;
      this.#actual = actual;
      // Whoever took the link down wants it down; all of it comes back with the link.
      if ((actual.link.flags & LinkFlag.Up) === 0) {
        this.#isFlushed = true;
        return result;
      }
      this.#isFlushed = false;
      const round = this.#apply({ ...wanted, mtu: plan.mtu }, actual, result, nowMs);
      refused = round.refused;
      if (!round.isChanged) break;
    }
    if (plan.ipv6.enabled && !result.ipv6) {
      result.warnings.push(
        "the container has no IPv6: it is switched off inside, or the MTU there is too small",
      );
    }
    for (const { route, reason } of refused) {
      result.warnings.push(`route ${describeRoute(route)} is not copied: ${reason}`);
    }
    return result;
  }

  /** @param planned routes, of either family */
  #read(planned: readonly Route[]): Actual | undefined {
    if (this.#wasDown()) this.#isFlushed = true;
    const link = dumpLinks(this.#netlink).find(({ index }) => index === this.#index);
    if (link === undefined) return undefined;
    const tables = new Set([MAIN_TABLE, ...planned.map(({ table }) => table)]);
    // Programs inside may have any number of others.
    const ours = [...this.#wanted.routes, ...planned];
    const targets = new Set([...ours.map(routeTarget), ...this.#shared]);
    const concernsUs = (route: Route): boolean =>
      route.protocol === OUR_PROTOCOL || targets.has(routeTarget(route));
    const routes = [...tables].flatMap((table) => dumpRoutes(this.#netlink, table, this.#routes, concernsUs));
    this.#routes.turn();
    const last = this.#actual;
    const isSame = last !== undefined && areSameRoutes(last.routes, routes);
    const keys = isSame ? last.keys : new Set(routes.map(routeKey));
    return { link, addresses: dumpAddresses(this.#netlink, this.#index), routes, keys };
  }

  /** What was there and is gone, without us or the link having gone down, somebody inside took away. */
  #readFirst(planned: readonly Route[]): Actual | undefined {
    let actual = this.#read(planned);
    // The link may have gone down in the middle of reading.
    if (actual !== undefined && this.#lost(actual).length > 0) actual = this.#read(planned);
    if (actual !== undefined && !this.#isFlushed) for (const key of this.#lost(actual)) this.#gone.add(key);
    return actual;
  }

  /** What stands in `#gone` for what was there and is not. */
  #lost({ link, addresses, keys }: Actual): string[] {
    const before = this.#actual;
    if (before === undefined) return [];
    // All of IPv6 goes when it is switched off, and comes back when it is switched on.
    const isCounted = ({ family }: { family: Family }): boolean => family === 4 || link.hasIpv6;
    const hadAddress = new Set(before.addresses.map(addressKey));
    for (const address of addresses) hadAddress.delete(addressKey(address));
    const lostRoutes =
      before.keys === keys
        ? []
        : this.#wanted.routes.filter(
            (route) => before.keys.has(routeKey(route)) && !keys.has(routeKey(route)),
          );
    return [
      ...this.#wanted.addresses
        .filter(isCounted)
        .map(addressKey)
        .filter((key) => hadAddress.has(key)),
      ...lostRoutes.filter(isCounted).map(routeTarget),
    ];
  }

  #apply(wanted: Wanted & { mtu: number }, actual: Actual, result: Reconciled, nowMs: number): Round {
    const addresses = addressChanges(
      wanted.addresses,
      actual.addresses,
      (address) => this.#isOurs(address),
      this.#gone,
    );
    let isChanged = this.#setMtu(wanted.mtu, actual.link.mtu, result);
    for (const address of addresses.before) this.#delete(address, result);
    for (const address of [...addresses.add, ...addresses.change]) {
      isChanged = this.#put(address, result) || isChanged;
    }
    this.#shared = sharedTargets(actual.routes, this.#index, this.#shared);
    const routes = routeChanges(wanted.routes, actual.routes, this.#index, this.#gone, this.#shared);
    const refused = installRoutes(this.#netlink, routes, this.#index);
    for (const route of routes.remove) {
      attempt(`remove the route ${describeRoute(route)}`, result, () => deleteRoute(this.#netlink, route));
    }
    for (const address of addresses.remove) isChanged = this.#retire(address, result, nowMs) || isChanged;
    const routeCount = routes.add.length + routes.replace.length + routes.remove.length;
    return { isChanged: isChanged || refused.length < routeCount, refused };
  }

  #setMtu(wanted: number, actual: number, result: Reconciled): boolean {
    const isTheirs = this.#mtu !== undefined && actual !== this.#mtu;
    if (wanted === 0 || wanted === actual || isTheirs) {
      this.#mtu ??= actual;
      return false;
    }
    const change = (): void => changeLink(this.#netlink, this.#index, { mtu: wanted });
    if (!attempt(`set the MTU to ${wanted}`, result, change)) return false;
    this.#mtu = wanted;
    return true;
  }

  #put(address: NetworkAddress, result: Reconciled): boolean {
    const key = addressKey(address);
    if (!attempt(`add the address ${key}`, result, () => changeAddress(this.#netlink, address))) return false;
    this.#added.add(key);
    this.#retiring.delete(key);
    return true;
  }

  /** Removes an address, or lets it stay for its connections for a while. */
  #retire(address: NetworkAddress, result: Reconciled, nowMs: number): boolean {
    const key = addressKey(address);
    const until = this.#retiring.get(key) ?? nowMs + GRACE_MS;
    if (nowMs >= until || !this.#isInUse(address.address)) {
      this.#delete(address, result);
      return true;
    }
    if (this.#retiring.has(key)) return false;
    this.#retiring.set(key, until);
    const deprecated = { ...address, flags: address.flags | AddressFlag.Deprecated };
    return attempt(`deprecate the address ${key}`, result, () => changeAddress(this.#netlink, deprecated));
  }

  #delete(address: NetworkAddress, result: Reconciled): void {
    const key = addressKey(address);
    if (!attempt(`remove the address ${key}`, result, () => deleteAddress(this.#netlink, address))) return;
    this.#added.delete(key);
    this.#retiring.delete(key);
    result.removed.push(address.address);
  }

  /** By its mark; by memory only where the kernel keeps none (Linux before 5.18). */
  #isOurs({ protocol, ...address }: NetworkAddress): boolean {
    if (protocol === OUR_PROTOCOL) return true;
    const keepsMarks = this.#actual?.addresses.some((each) => each.protocol === OUR_PROTOCOL) === true;
    return !keepsMarks && this.#added.has(addressKey(address));
  }

  #wantedAddresses({ ipv4, ipv6 }: NetworkPlan): NetworkAddress[] {
    const linkLocal =
      this.#linkLocal === undefined || !ipv6.enabled
        ? []
        : [this.#address(6, { ...LINK_PREFIX, address: this.#linkLocal }, Scope.Link)];
    return [...this.#familyAddresses(4, ipv4), ...linkLocal, ...this.#familyAddresses(6, ipv6)];
  }

  #familyAddresses(family: Family, { enabled, addresses }: FamilyPlan): NetworkAddress[] {
    return enabled ? addresses.map((planned) => this.#address(family, planned)) : [];
  }

  /** IPv6 addresses skip duplicate address detection: nobody else is on the link. */
  #address(family: Family, planned: PlannedAddress, scope: number = Scope.Universe): NetworkAddress {
    const { address, prefixLength, metric } = planned;
    const flags =
      (family === 6 ? AddressFlag.NoDad : 0) |
      (planned.noPrefixRoute ? AddressFlag.NoPrefixRoute : 0) |
      (planned.deprecated ? AddressFlag.Deprecated : 0);
    return {
      interfaceIndex: this.#index,
      family,
      address,
      prefixLength,
      scope,
      flags,
      metric,
      protocol: OUR_PROTOCOL,
    };
  }
}

/** What of it is left where there is no IPv6. */
const ofIpv4 = ({ addresses, routes }: Wanted): Wanted => ({
  addresses: addresses.filter(({ family }) => family === 4),
  routes: routes.filter(({ family }) => family === 4),
});

/** Does something without which the rest can be done, and notes what goes wrong. Tells whether it is done now. */
function attempt(what: string, { failures }: Reconciled, action: () => void): boolean {
  try {
    action();
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    if (!GONE.includes(cause.errno)) {
      failures.push(`cannot ${what}: ${cause.message}`);
      return false;
    }
  }
  return true;
}
