/** What a person should know of a connection when it is made. */
import { AppError } from "../base/errors.ts";
import { LinkFlag } from "../base/network.ts";
import type { HostNetwork } from "./host-template.ts";
import { IPV6_MTU_MIN, type NetworkPlan } from "./network-plan.ts";
import type { NetworkOptions } from "./options.ts";

/** One sentence each. Throws NO_ADDRESS when there is nothing to connect, and never will be. */
export function planNotes(plan: NetworkPlan, network: NetworkOptions, host: HostNetwork): string[] {
  if (network.ports.spliceOnly) return [];
  checkFamilies(plan, "this kernel has no IPv6, or the MTU is too small for it");
  const notes = waitingNotes(plan, network, host);
  if (network.ipv6 && plan.mtu > 0 && plan.mtu < IPV6_MTU_MIN) {
    notes.push(
      `an MTU of ${plan.mtu} is too small for IPv6, which needs ${IPV6_MTU_MIN}: there is only IPv4`,
    );
  }
  return notes;
}

/** Throws NO_ADDRESS. */
export function checkFamilies({ ipv4, ipv6 }: NetworkPlan, why: string): void {
  if (ipv4.enabled || ipv6.enabled) return;
  throw new AppError(
    "NO_ADDRESS",
    `cannot give the container an address of the family asked for: ${why}; leave --ipv4-only or --ipv6-only away`,
  );
}

/**
 * A host with one family is common and no news; a host with none is, and an interface that is not there. Throws
 * NO_ADDRESS for what would be waited for in vain.
 */
function waitingNotes(plan: NetworkPlan, network: NetworkOptions, host: HostNetwork): string[] {
  const names = namedInterfaces(network);
  const missing = names.filter((name) => !host.links.some((link) => link.name === name));
  const { ipv4, ipv6, localMode } = plan;
  const isIsolated = ipv4.enabled === localMode.ipv4 && ipv6.enabled === localMode.ipv6;
  if (missing.length === 0 && !isIsolated) return [];
  const there = host.links.filter(({ flags }) => (flags & LinkFlag.Loopback) === 0).map((link) => link.name);
  const has = `the host has ${there.join(", ") || "none yet"}`;
  if (!network.follow && names.length > 0) throw inVain(missing, names, has);
  if (missing.length > 0) return missing.map((name) => `waiting for the interface ${name}: ${has}`);
  const what = names.length === 0 ? "the host has no network" : `${names.join(" and ")} has no address`;
  const howLong = network.follow ? "for the time being" : "without --follow";
  return [`${what}: ${howLong} the container reaches the host itself only`];
}

function inVain(missing: readonly string[], names: readonly string[], has: string): AppError {
  const [name] = missing;
  const why = name === undefined ? `${names.join(" and ")} has no usable address` : `there is no ${name}`;
  return new AppError(
    "NO_ADDRESS",
    `cannot take addresses and routes from the interface named: ${why}, ${has}; name another one, or leave --no-follow away to wait for it`,
  );
}

/** The interfaces of the host that were named as templates. */
const namedInterfaces = (network: NetworkOptions): string[] => {
  const names = ([4, 6] as const).map((family) =>
    network[`ipv${family}`] ? (network.template ?? network[`outboundInterface${family}`]) : undefined,
  );
  return [...new Set(names.filter((name) => name !== undefined))];
};
