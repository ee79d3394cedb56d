import { expect, test } from "@jest/globals";
import { LinkFlag, OUR_PROTOCOL } from "../../../src/base/network.ts";
import { NO_TEMPLATE } from "../../../src/config/host-template.ts";
import { planNetwork, type NetworkPlan } from "../../../src/config/network-plan.ts";
import { Reconciler } from "../../../src/follow/reconciler.ts";
import type { Netlink } from "../../../src/kernel/netlink.ts";
import {
  decodeAddress,
  encodeAddress,
  encodeLinkChange,
  RtnetlinkType,
} from "../../../src/wire/rtnetlink-message.ts";
import { address } from "../../support/host-network.ts";

const INDEX = 2;

/** A container's kernel of which addresses matter only; an old one forgets who made them. */
class Kernel {
  readonly addresses = new Map<string, Uint8Array>();
  readonly #keepsMarks: boolean;

  constructor(keepsMarks: boolean) {
    this.#keepsMarks = keepsMarks;
  }

  add(text: string, protocol = 0): void {
    const made = address(INDEX, text, { protocol: this.#keepsMarks ? protocol : 0 });
    this.addresses.set(made.address, encodeAddress(made));
  }

  dump<T>(type: number, _body: Uint8Array, decode: (body: Uint8Array) => T | undefined): T[] {
    if (type === RtnetlinkType.GetLink) {
      const link = encodeLinkChange(INDEX, { name: "eth0", mtu: 1500, setFlags: LinkFlag.Up });
      return [decode(link)].filter((each) => each !== undefined);
    }
    if (type !== RtnetlinkType.GetAddress) return [];
    return [...this.addresses.values()].flatMap((body) => decode(body) ?? []);
  }

  request(type: number, _flags: number, body: Uint8Array): void {
    const asked = decodeAddress(body);
    if (asked === undefined) return;
    const { address: ip, prefixLength, protocol } = asked;
    if (type === RtnetlinkType.DeleteAddress) this.addresses.delete(ip);
    if (type === RtnetlinkType.NewAddress) this.add(`${ip}/${prefixLength}`, protocol);
  }
}

const planOf = (...addresses: string[]): NetworkPlan =>
  planNetwork(NO_TEMPLATE, { ipv4: true, ipv6: false, addresses, gateways: [] });

test.each([
  ["keeps", true],
  ["does not keep", false],
])("what the launcher added goes with the host's, on a kernel that %s marks", (_, keepsMarks) => {
  const kernel = new Kernel(keepsMarks);
  kernel.add("198.51.100.2/24", OUR_PROTOCOL);
  kernel.add("198.51.100.50/24");
  const reconciler = new Reconciler({
    netlink: kernel as unknown as Netlink,
    interfaceIndex: INDEX,
    added: planOf("198.51.100.2/24").ipv4.addresses,
  });
  reconciler.reconcile(planOf("203.0.113.2/24"), 0);
  expect([...kernel.addresses.keys()].toSorted()).toEqual(["198.51.100.50", "203.0.113.2"]);
  reconciler.reconcile(planOf("203.0.113.3/24"), 0);
  expect([...kernel.addresses.keys()].toSorted()).toEqual(["198.51.100.50", "203.0.113.3"]);
});

test("an address that was taken away inside and made anew there is not ours any more", () => {
  const kernel = new Kernel(true);
  const reconciler = new Reconciler({ netlink: kernel as unknown as Netlink, interfaceIndex: INDEX });
  reconciler.reconcile(planOf("198.51.100.2/24", "198.51.100.3/24"), 0);
  kernel.add("198.51.100.3/24");
  reconciler.reconcile(planOf("198.51.100.2/24"), 0);
  expect([...kernel.addresses.keys()].toSorted()).toEqual(["198.51.100.2", "198.51.100.3"]);
});
