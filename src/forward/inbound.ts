/** Where a connection or a datagram that came in at a listener goes. */
import { copyIp, ipv4Words, isGroup, isLinkLocal, isLoopback, isUnspecified } from "../base/address.ts";
import { Pif } from "../flow/state.ts";
import { isMapped, packKind, packPorts, sidePif, sideProtocol, SideWord } from "../flow/table.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import {
  type Address,
  type AddressRules,
  familyRules,
  type FamilyRules,
  insideAddress,
  isAccessible,
} from "./address-rules.ts";
import type { PortPolicy, PortRule } from "./port-rule.ts";

const ANY_4 = ipv4Words(0);
const ANY_6: Address = new Uint32Array(4);

/**
 * Turns the key of a flow's initiating side, in place, into the key of its target side: for a client on the host the
 * container, through the TAP or past it, for one on the container's loopback the host's loopback.
 *
 * @param rule the one that the client's port belongs to
 * @param key complete: addresses, ports, protocol and pif, which is Pif.Host or Pif.Splice
 * @returns the target's pif; Pif.None for a flow that must be refused, whose key is then of no use
 */
export function inboundTarget(
  rules: AddressRules,
  policy: PortPolicy,
  rule: PortRule,
  key: Uint32Array,
): Pif {
  const ports = key[SideWord.Ports];
  const sourcePort = ports & 0xffff;
  const targetPort = rule.targetFirst + (ports >>> 16) - rule.first;
  // Nobody chooses the port of a datagram twice: protocols that tell their own would be wrong.
  const ourPort = sideProtocol(key, 0) === IpProtocol.Udp ? sourcePort : 0;
  if (sidePif(key, 0) === Pif.Splice) return toHost(rule, key, ourPort, targetPort);
  const family = familyRules(rules, !isMapped(key, SideWord.Endpoint));
  const target = rule.target ?? keptTarget(policy, key);
  if (policy.splice && rule.target === undefined && isLoopback(key, SideWord.Endpoint)) {
    const destination = target ?? family.seen;
    // The unspecified address would be the container's loopback, where nobody shall arrive unasked.
    if (isUnspecified(destination)) return Pif.None;
    copyIp(key, SideWord.Endpoint, destination, 0);
    copyIp(key, SideWord.Ours, isMapped(destination, 0) ? ANY_4 : ANY_6, 0);
    return finish(key, Pif.Splice, ourPort, targetPort);
  }
  if (policy.spliceOnly) return Pif.None;
  const source = sourceInside(rules, family, target, key);
  copyIp(key, SideWord.Ours, source, 0);
  const destination = target ?? (isLocal6(source) ? family.seenLinkLocal : family.seen);
  if (isUnspecified(source) || isUnspecified(destination)) return Pif.None;
  copyIp(key, SideWord.Endpoint, destination, 0);
  return finish(key, Pif.Tap, sourcePort, targetPort);
}

/** From the container's loopback to the host's, address by address: 127.0.0.53 stays what it is. */
function toHost(rule: PortRule, key: Uint32Array, ourPort: number, targetPort: number): Pif {
  if (!isLoopback(key, SideWord.Endpoint) || !isLoopback(key, SideWord.Ours)) return Pif.None;
  for (let i = 0; i < 4; i++) {
    const arrivedAt = key[SideWord.Ours + i];
    key[SideWord.Ours + i] = key[SideWord.Endpoint + i];
    key[SideWord.Endpoint + i] = rule.target?.[i] ?? arrivedAt;
  }
  return finish(key, Pif.Host, ourPort, targetPort);
}

/** The address the client asked for, where it is the target's too. */
function keptTarget(policy: PortPolicy, key: Uint32Array): Address | undefined {
  // Multicast that came back from the container as unicast would go round for ever (mDNS).
  const isKept =
    isGroup(key, SideWord.Ours) ||
    // Past the TAP only: no packet to a loopback address arrives.
    (policy.hostLoopbackToContainer && isLoopback(key, SideWord.Ours) && isLoopback(key, SideWord.Endpoint));
  if (!isKept) return undefined;
  copyIp(kept, 0, key, SideWord.Ours);
  return kept;
}
const kept: Address = new Uint32Array(4);

/** The client's own address if the container can answer to it, else what it is called inside, else one of ours. */
function sourceInside(
  rules: AddressRules,
  family: FamilyRules,
  target: Address | undefined,
  key: Uint32Array,
): Address {
  if (isAccessible(family, key, SideWord.Endpoint)) {
    copyIp(own, 0, key, SideWord.Endpoint);
    return own;
  }
  const alias = insideAddress(rules, key, SideWord.Endpoint);
  if (alias !== undefined) return alias;
  const { gateway, ours } = family;
  // Of the same scope as the destination: some programs take no link-local client for a distant one.
  const fits = gateway !== undefined && isLinkLocal(gateway) === isLinkLocal(target ?? family.seen);
  return fits ? gateway : ours;
}
const own: Address = new Uint32Array(4);

const isLocal6 = (address: Address): boolean => !isMapped(address, 0) && isLinkLocal(address);

function finish(key: Uint32Array, pif: Pif, ourPort: number, endpointPort: number): Pif {
  key[SideWord.Ports] = packPorts(ourPort, endpointPort);
  key[SideWord.Kind] = packKind(sideProtocol(key, 0), pif);
  return pif;
}
