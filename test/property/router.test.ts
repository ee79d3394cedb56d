/** Whatever changes, and whichever advertisements get lost on the way: in the end a host believes what holds. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { formatIp } from "../../src/base/address.ts";
import type { Link } from "../../src/proto/link.ts";
import { Output } from "../../src/proto/output.ts";
import { Router } from "../../src/proto/router.ts";
import { ETHERNET_LENGTH } from "../../src/wire/ethernet.ts";
import { IPV6_LENGTH, IPV6_SOURCE, ipv6Words } from "../../src/wire/ipv6.ts";
import { readRouterAdvertisement } from "../../src/wire/router-advertisement.ts";
import { VNET_LENGTH } from "../../src/wire/vnet.ts";
import { FakeNet, ip } from "../support/fake-net.ts";

const IP_AT = VNET_LENGTH + ETHERNET_LENGTH;
const MESSAGE_AT = IP_AT + IPV6_LENGTH;
/** Between a change and the last time that it is told. */
const TOLD_MS = 6_500;

/** What a host keeps that it was told for a time, as text. */
class Believer {
  readonly believes = new Set<string>();

  hear(frame: Uint8Array): void {
    const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
    const router = formatIp(ipv6Words(view, IP_AT + IPV6_SOURCE));
    const message = readRouterAdvertisement(view, MESSAGE_AT, frame.length);
    this.#note(`default via ${router}`, message.lifetimeSeconds);
    for (const { address, preferredSeconds } of message.prefixes)
      this.#note(`prefix ${formatIp(address)}`, preferredSeconds);
    // RFC 4191 section 4: of each router its own.
    for (const { address, seconds } of message.routes)
      this.#note(`route ${formatIp(address)} via ${router}`, seconds);
    for (const { addresses, seconds } of message.resolvers)
      for (const address of addresses) this.#note(`resolver ${formatIp(address)}`, seconds);
    for (const { domains, seconds } of message.searchLists)
      for (const domain of domains) this.#note(`search ${domain}`, seconds);
  }

  #note(what: string, seconds: number): void {
    if (seconds > 0) this.believes.add(what);
    else this.believes.delete(what);
  }
}

const some = (texts: readonly string[]): fc.Arbitrary<string[]> => fc.subarray([...texts]);

/** The parts of a link that matter here. */
const state = fc.record({
  enabled: fc.boolean(),
  ours: fc.constantFrom("fe80::1", "fe80::2"),
  assigned: some(["2001:db8:1::10", "2001:db8:1::11", "2001:db8:2::10", "2001:db8:3::10"]),
  routes: some(["::", "2001:db8:1::", "2001:db8:5::", "2001:db8:6::"]),
  resolvers: some(["2001:db8::53", "2001:db8::54", "192.0.2.53"]),
  searchDomains: some(["a.test", "b.test"]),
});
type State = typeof state extends fc.Arbitrary<infer Value> ? Value : never;

function become({ link }: FakeNet, { enabled, ours, assigned, routes, ...advertise }: State): Link {
  const before = { ...link };
  link.v6 = {
    ...link.v6,
    enabled,
    ours: ip(ours),
    assigned: assigned.map(ip),
    routes: routes.map((text) => ({ address: ip(text), length: text === "::" ? 0 : 48 })),
  };
  link.advertise = { ...advertise, resolvers: advertise.resolvers.map(ip) };
  return before;
}

/** What a host should believe. */
function truth({ enabled, ours, assigned, routes, resolvers, searchDomains }: State): string[] {
  if (!enabled) return [];
  const isDefault = assigned.length > 0 && routes.includes("::");
  return [
    ...(isDefault ? [`default via ${ours}`] : []),
    ...new Set(assigned.map((text) => `prefix ${text.replace(/::.*/, "::")}`)),
    ...routes.filter((text) => text !== "::").map((text) => `route ${text} via ${ours}`),
    ...resolvers.filter((text) => text.includes(":")).map((text) => `resolver ${text}`),
    ...searchDomains.map((text) => `search ${text}`),
  ].toSorted();
}

test("a host believes what holds, whatever gets lost", () => {
  const change = fc.record({ state, isLost: fc.boolean(), ms: fc.constantFrom(0, 10, 3_100, 10_000) });
  fc.assert(
    // More changes than are remembered of can only be told to who has heard of them.
    fc.property(fc.array(change, { minLength: 1, maxLength: 7 }), (changes) => {
      const net = new FakeNet();
      net.link.routerAdvertisements = true;
      const router = new Router(net, new Output(net));
      const believer = new Believer();
      const hear = (isLost: boolean): void => {
        for (const frame of net.host.frames.splice(0)) if (!isLost) believer.hear(frame);
      };
      const pass = (milliseconds: number): void => {
        const end = net.host.nowMs + milliseconds;
        while (net.host.nowMs < end) {
          router.expire();
          const delay = router.nextDelay();
          net.advance(delay < 0 ? milliseconds : Math.max(1, Math.min(delay, end - net.host.nowMs)));
        }
      };
      for (const { state: next, isLost, ms } of changes) {
        router.networkChanged(become(net, next));
        hear(isLost);
        pass(ms);
        hear(false);
      }
      pass(TOLD_MS);
      hear(false);
      expect([...believer.believes].toSorted()).toEqual(truth(changes.at(-1)!.state));
    }),
    { numRuns: 500 },
  );
});
