/**
 * Which address outside stands for which address inside: the one place where a flow from the container gets
 * its target. Order matters: DNS first, because a gateway that is also the resolver must not be shadowed by
 * the mapping to the host's loopback.
 */
import { copyIp, isLinkLocal, isLoopback, isUnicast, isUnspecified, sameIp } from "../base/address.ts";
import { isMapped, MAPPED, packKind, packPorts, sideProtocol, SideWord } from "../flow/table.ts";
import { Pif } from "../flow/state.ts";
import { IpProtocol } from "../wire/ipv4.ts";

/** An address as four big-endian words, IPv4 mapped into IPv6; see base/address.ts. */
export type Address = Uint32Array;

/** The addresses of one family and what they stand for. `undefined` switches a rule off. */
export interface FamilyRules {
  /** Our address on the link; IPv6: link-local. */
  ours: Address;
  /** The container's default gateway, which is us as well. */
  gateway: Address | undefined;
  /** The container's addresses as configured, the most important one first, the deprecated ones last. */
  assigned: readonly Address[];
  /** Where the container was heard last, where flows to it go: at first `assigned[0]`. All zero while not known. */
  readonly seen: Address;
  /** The same of its link-local address; IPv6 only. */
  readonly seenLinkLocal: Address;
  /** The container's address was given: whatever is heard, `seen` stays. */
  isFixed: boolean;
  /** Inside, this address means the host's loopback. */
  mapHostLoopback: Address | undefined;
  /** The address by which the host is known outside; mostly `assigned[0]`, which container and host share. */
  hostAddress: Address | undefined;
  /** Inside, this address means `hostAddress`. */
  mapGuest: Address | undefined;
  /** Inside, this address is the resolver. */
  dnsMatch: Address | undefined;
  /** Source address of sockets outside, else the kernel's choice. */
  outbound: Address | undefined;
  /** Device that sockets outside are bound to. */
  outboundInterface: string | undefined;
}

export interface AddressRules {
  v4: FamilyRules;
  v6: FamilyRules;
  /** The host's resolvers in the order of preference, of either family. */
  dnsServers: readonly Address[];
}

const LOOPBACK_4 = 0x7f000001;
/** Where DNS is spoken in the clear, over UDP and TCP. */
export const DNS_PORT = 53;
/** That, and DNS over TLS. */
export const DNS_PORTS: readonly number[] = [DNS_PORT, 853];

export const familyRules = (rules: AddressRules, v6: boolean): FamilyRules => (v6 ? rules.v6 : rules.v4);

/** Tells whether this TCP or UDP destination is the resolver that the container sees. */
export function isDnsForward(rules: FamilyRules, key: Uint32Array): boolean {
  const port = key[SideWord.Ports] >>> 16;
  const protocol = sideProtocol(key, 0);
  return (
    rules.dnsMatch !== undefined &&
    // The identifier of an echo may look like a port.
    (protocol === IpProtocol.Tcp || protocol === IpProtocol.Udp) &&
    DNS_PORTS.includes(port) &&
    sameIp(key, SideWord.Ours, rules.dnsMatch, 0)
  );
}

/**
 * Turns the key of a flow's TAP side, in place, into the key of its target side on the host.
 *
 * @param keepSourcePort UDP keeps the container's source port, TCP and ping leave it to the kernel
 * @param dnsServer which of `rules.dnsServers` answers when the destination is the resolver
 */
export function outboundTarget(
  rules: AddressRules,
  key: Uint32Array,
  keepSourcePort: boolean,
  dnsServer = 0,
): void {
  const v6 = !isMapped(key, SideWord.Ours);
  const family = familyRules(rules, v6);
  const ports = key[SideWord.Ports];
  const server = rules.dnsServers[dnsServer];
  let target: Address | undefined;
  if (server !== undefined && isDnsForward(family, key)) target = server;
  else if (is(family.mapHostLoopback, key, SideWord.Ours)) target = v6 ? LOOPBACK_V6 : LOOPBACK_V4;
  else if (is(family.mapGuest, key, SideWord.Ours)) target = family.hostAddress;
  // The far party of the host side is what the container took for us.
  for (let i = 0; i < 4; i++) key[SideWord.Endpoint + i] = target?.[i] ?? key[SideWord.Ours + i];
  const toV6 = !isMapped(key, SideWord.Endpoint);
  const outbound = isLoopback(key, SideWord.Endpoint) ? undefined : familyRules(rules, toV6).outbound;
  for (let i = 0; i < 4; i++) key[SideWord.Ours + i] = outbound?.[i] ?? 0;
  if (!toV6) key[SideWord.Ours + 2] = MAPPED;
  key[SideWord.Ports] = packPorts(keepSourcePort ? ports & 0xffff : 0, ports >>> 16);
  key[SideWord.Kind] = packKind(key[SideWord.Kind] >>> 8, Pif.Host);
}

/**
 * The address the container must see for a host-side address that reports something about a flow (the source of
 * an ICMP error): mapped addresses go back to what they are called inside.
 */
export function insideAddress(rules: AddressRules, address: Uint32Array, at: number): Address | undefined {
  const v6 = !isMapped(address, at);
  const family = familyRules(rules, v6);
  if (sameIp(address, at, v6 ? LOOPBACK_V6 : LOOPBACK_V4, 0)) return family.mapHostLoopback;
  const { hostAddress } = family;
  return hostAddress !== undefined && sameIp(address, at, hostAddress, 0) ? family.mapGuest : undefined;
}

/**
 * Tells whether the container can answer to this address of the host: an answer to one of its own addresses would
 * never leave it, and neither would one to a loopback address.
 */
export function isAccessible(family: FamilyRules, address: Uint32Array, at: number): boolean {
  if (isLoopback(address, at) || isUnspecified(address, at)) return false;
  if (sameIp(address, at, family.seen, 0) || sameIp(address, at, family.seenLinkLocal, 0)) return false;
  for (const assigned of family.assigned) if (sameIp(assigned, 0, address, at)) return false;
  return true;
}

/**
 * Tells whether an address of the container's side means us, and so nobody else who may have it outside. The gateway
 * does only where it is mapped.
 */
export function meansUs(family: FamilyRules, words: Uint32Array, at: number): boolean {
  const { ours, gateway, mapHostLoopback, mapGuest, dnsMatch } = family;
  if (is(mapHostLoopback, words, at) || is(mapGuest, words, at) || is(dnsMatch, words, at)) return true;
  return is(ours, words, at) && !is(gateway, words, at);
}

/** Notes that the container speaks from this address; all zero, a group and everybody are nobody's address. */
export function noteSeen(family: FamilyRules, words: Uint32Array, at: number): void {
  if (!isUnicast(words, at)) return;
  const isLocal = !isMapped(words, at) && isLinkLocal(words, at);
  if (isLocal) copyIp(family.seenLinkLocal, 0, words, at);
  // A link-local address is better than none.
  if (isLocal ? isUnspecified(family.seen) : !family.isFixed) copyIp(family.seen, 0, words, at);
}

const LOOPBACK_V4: Address = Uint32Array.of(0, 0, MAPPED, LOOPBACK_4);
const LOOPBACK_V6: Address = Uint32Array.of(0, 0, 0, 1);

const is = (rule: Address | undefined, words: Uint32Array, at: number): boolean =>
  rule !== undefined && sameIp(words, at, rule, 0);
