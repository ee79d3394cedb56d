/** Whatever there is and whatever is wanted, a kernel to which the differences are applied ends with both. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import {
  AddressFlag,
  type NetworkAddress,
  OUR_PROTOCOL,
  type Route,
  RouteProtocol,
  RouteType,
} from "../../src/base/network.ts";
import {
  addressChanges,
  addressKey,
  routeChanges,
  routeKey,
  routeTarget,
  sharedTargets,
} from "../../src/config/reconcile.ts";
import { address, route } from "../support/host-network.ts";

const LINK = 7;
/** As in follow/reconciler.ts, and one more to see that nothing is left to do. */
const ROUNDS = 4;
const RUNS = { numRuns: 1_000 };

/** Prefixes of addresses, and where they end as text. */
const PREFIXES = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/64", "2001:db8:2::/64"];
const prefixOf = ({ address: text }: NetworkAddress): string =>
  PREFIXES.find((prefix) => text.startsWith(prefix.replace(/0?\/.*/, ""))) ?? "";

const slotOf = ({ destination, destinationLength, family, metric }: Route): string =>
  `${destination}/${destinationLength} ${family === 6 && metric === 0 ? 1_024 : metric}`;

/** What the container's kernel makes of requests, as far as addresses and routes depend on each other. */
class ModelKernel {
  addresses: NetworkAddress[];
  routes: Route[] = [];

  constructor(addresses: readonly NetworkAddress[], routes: readonly Route[]) {
    this.addresses = [];
    for (const each of addresses) this.putAddress(each);
    for (const each of routes) this.addRoute(each);
  }

  putAddress(asked: NetworkAddress): void {
    const at = this.addresses.findIndex((each) => addressKey(each) === addressKey(asked));
    if (at >= 0) {
      const { flags, protocol } = this.addresses[at];
      const kept = asked.family === 4 ? AddressFlag.NoPrefixRoute : 0;
      this.addresses[at] = { ...asked, protocol, flags: (asked.flags & ~kept) | (flags & kept) };
      return;
    }
    if (this.addresses.some((each) => each.family === 6 && each.address === asked.address)) {
      throw new Error("EEXIST");
    }
    this.addresses.push(asked);
    if ((asked.flags & AddressFlag.NoPrefixRoute) !== 0) return;
    const made = route(LINK, prefixOf(asked), "", {
      protocol: RouteProtocol.Kernel,
      metric: asked.metric === 0 && asked.family === 6 ? 256 : asked.metric,
    });
    // It is appended where there is another one in its place.
    if (!this.routes.some((each) => routeKey(each) === routeKey(made))) this.routes.push(made);
  }

  /** In IPv4 the first address of a prefix takes the others with it, and the last one the kernel's route. */
  deleteAddress(asked: NetworkAddress): void {
    const prefix = prefixOf(asked);
    const isFirst =
      asked.family === 4 &&
      addressKey(this.addresses.find((each) => prefixOf(each) === prefix) ?? asked) === addressKey(asked);
    this.addresses = this.addresses.filter((each) =>
      isFirst ? prefixOf(each) !== prefix : addressKey(each) !== addressKey(asked),
    );
    if (this.addresses.some((each) => prefixOf(each) === prefix)) return;
    this.routes = this.routes.filter(
      (each) =>
        each.protocol !== RouteProtocol.Kernel || `${each.destination}/${each.destinationLength}` !== prefix,
    );
  }

  addRoute(asked: Route): void {
    if (!this.routes.some((each) => slotOf(each) === slotOf(asked))) this.routes.push(asked);
  }

  replaceRoute(asked: Route): void {
    const at = this.routes.findIndex((each) => slotOf(each) === slotOf(asked));
    if (at < 0) this.routes.push(asked);
    else this.routes[at] = asked;
  }

  deleteRoute(asked: Route): void {
    const at = this.routes.findIndex(
      (each) => routeKey(each) === routeKey(asked) && each.protocol === asked.protocol,
    );
    if (at < 0) throw new Error("ESRCH");
    this.routes.splice(at, 1);
  }
}

const isOurs = ({ protocol }: { protocol: number }): boolean => protocol === OUR_PROTOCOL;

/** One round as in follow/reconciler.ts; tells whether there was anything to do. */
function round(kernel: ModelKernel, wanted: Wanted): boolean {
  const { addresses, routes } = kernel;
  wanted.shared = sharedTargets(routes, LINK, wanted.shared);
  const forAddresses = addressChanges(wanted.addresses, addresses, isOurs, wanted.gone);
  for (const each of forAddresses.before) kernel.deleteAddress(each);
  for (const each of [...forAddresses.add, ...forAddresses.change]) kernel.putAddress(each);
  const forRoutes = routeChanges(wanted.routes, [...routes], LINK, wanted.gone, wanted.shared);
  for (const each of forRoutes.add) kernel.addRoute(each);
  for (const each of forRoutes.replace) kernel.replaceRoute(each);
  for (const each of forRoutes.remove) kernel.deleteRoute(each);
  for (const each of forAddresses.remove) kernel.deleteAddress(each);
  return [forAddresses, forRoutes].some((changes) => Object.values(changes).some(({ length }) => length > 0));
}

interface Wanted {
  addresses: NetworkAddress[];
  routes: Route[];
  gone: ReadonlySet<string>;
  shared: ReadonlySet<string>;
}

const flags = fc.constantFrom(0, AddressFlag.NoPrefixRoute);
const metric = fc.constantFrom(0, 50);
const addressesFrom = (texts: readonly string[], protocol: number): fc.Arbitrary<NetworkAddress[]> =>
  fc.uniqueArray(
    fc
      .tuple(fc.constantFrom(...texts), flags, metric)
      .map(([text, flag, priority]) => address(LINK, text, { flags: flag, metric: priority, protocol })),
    { selector: (each) => each.address, maxLength: 6 },
  );
const OURS = [
  "198.51.100.1/24",
  "198.51.100.2/24",
  "198.51.100.3/24",
  "2001:db8:1::1/64",
  "2001:db8:1::1/128",
];
const THEIRS = ["203.0.113.1/24", "203.0.113.2/24", "2001:db8:2::1/64"];

const routesOf = (protocol: number): fc.Arbitrary<Route[]> =>
  fc.uniqueArray(
    fc
      .record({
        to: fc.constantFrom(...PREFIXES, "0.0.0.0/0", "::/0", "192.0.2.0/24"),
        gateway: fc.constantFrom("", "198.51.100.99", "203.0.113.99"),
        priority: fc.constantFrom(0, 50, 256),
        mtu: fc.constantFrom(undefined, 1_300),
        type: fc.constantFrom(RouteType.Unicast, RouteType.Unicast, protocol === RouteProtocol.Boot ? 6 : 1),
      })
      .map(({ to, gateway, priority, mtu, type }) =>
        route(LINK, to, to.includes(":") && gateway !== "" ? "fe80::99" : gateway, {
          protocol,
          type,
          metric: priority,
          properties: mtu === undefined ? {} : { 2: mtu },
        }),
      ),
    { selector: slotOf, maxLength: 8 },
  );

const cases = fc.record({
  wantedAddresses: addressesFrom([...OURS, ...THEIRS], OUR_PROTOCOL),
  ourAddresses: addressesFrom(OURS, OUR_PROTOCOL),
  theirAddresses: addressesFrom(THEIRS, 0),
  wantedRoutes: routesOf(OUR_PROTOCOL),
  ourRoutes: routesOf(OUR_PROTOCOL),
  theirRoutes: routesOf(RouteProtocol.Boot),
  /** Whether each that is wanted and not there was taken away. */
  taken: fc.infiniteStream(fc.boolean()),
});

test("in a few rounds everything wanted is there, everything theirs is still there, and nothing else of ours", () => {
  fc.assert(
    fc.property(cases, (given) => {
      const kernel = new ModelKernel(
        [...given.ourAddresses, ...given.theirAddresses],
        [...given.theirRoutes, ...given.ourRoutes],
      );
      const theirRoutes = kernel.routes.filter(({ protocol }) => protocol === RouteProtocol.Boot);
      const isThere = new Set([...kernel.addresses.map(addressKey), ...kernel.routes.map(routeTarget)]);
      const keys = [...given.wantedAddresses.map(addressKey), ...given.wantedRoutes.map(routeTarget)];
      const gone = new Set(keys.filter((key) => given.taken.next().value === true && !isThere.has(key)));
      const { wantedAddresses: addresses, wantedRoutes: routes } = given;
      const wanted: Wanted = {
        addresses,
        routes,
        gone,
        shared: sharedTargets(kernel.routes, LINK, new Set()),
      };
      for (let i = 0; i < ROUNDS; i++) round(kernel, wanted);
      expect(round(kernel, wanted)).toBe(false);

      const theirKeys = given.theirAddresses.map(addressKey);
      const possible = wanted.addresses.filter((each) => !gone.has(addressKey(each)));
      const ours = possible.filter((each) => !theirKeys.includes(addressKey(each)));
      expect(kernel.addresses.filter((each) => !isOurs(each))).toEqual(given.theirAddresses);
      expect(kernel.addresses.filter(isOurs).toSorted(byKey)).toEqual(ours.toSorted(byKey));

      expect(kernel.routes).toEqual(expect.arrayContaining(theirRoutes));
      const theirTargets = new Set(
        theirRoutes.map(routeTarget).filter((target) => !wanted.shared.has(target)),
      );
      const theirSlots = new Set(theirRoutes.map(slotOf));
      const expected = wanted.routes.filter(
        (each) =>
          !theirTargets.has(routeTarget(each)) &&
          !theirSlots.has(slotOf(each)) &&
          !gone.has(routeTarget(each)),
      );
      const found = kernel.routes.map(routeKey);
      for (const each of expected) expect(found).toContain(routeKey(each));
      const allowed = new Set(wanted.routes.map(routeKey));
      for (const each of kernel.routes.filter(isOurs)) expect(allowed).toContain(routeKey(each));
    }),
    RUNS,
  );
});

const byKey = (one: NetworkAddress, other: NetworkAddress): number =>
  addressKey(one).localeCompare(addressKey(other));
