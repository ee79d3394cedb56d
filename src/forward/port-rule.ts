/** One rule of port forwarding: who may come in through which ports, and where that leads. */
import { formatIp, isIpv4, isUnspecified, sameIp } from "../base/address.ts";
import { Pif } from "../flow/state.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import type { Address } from "./address-rules.ts";

export interface PortRule {
  /** Where the clients are: Pif.Host, or Pif.Splice for the container's loopback. */
  readonly pif: Pif;
  /** An IP protocol number: TCP or UDP. */
  readonly protocol: number;
  /** Where to listen; undefined: on every address of both families. */
  readonly listen: Address | undefined;
  /** Interface that listeners are bound to. */
  readonly device: string | undefined;
  /** Ports to listen on, both included, 1 to 65,535. */
  readonly first: number;
  readonly last: number;
  /** Where connections go, instead of the address that follows from where they come from. */
  readonly target: Address | undefined;
  /** Port that `first` goes to; the others follow. */
  readonly targetFirst: number;
  /** A port that cannot be had is no error. */
  readonly weak: boolean;
  /** Only ports on which somebody listens on the other side. */
  readonly scan: boolean;
}

/** Tells whether a listener of the rule receives what is sent to an address of the machine. */
export function listensAt({ listen }: PortRule, words: Uint32Array, at: number): boolean {
  if (listen === undefined) return true;
  return isIpv4(listen) === isIpv4(words, at) && (isUnspecified(listen) || sameIp(listen, 0, words, at));
}

/** What a rule listens on, as a person reads it. @param ports " port 80", or empty for what all its ports share */
export function describeListeners(
  { pif, protocol, listen, device }: Pick<PortRule, "pif" | "protocol" | "listen" | "device">,
  ports = "",
): string {
  const where = pif === Pif.Host ? "the host" : "the container's loopback";
  const at = listen === undefined ? "" : ` at ${formatIp(listen)}`;
  const on = pif === Pif.Host && device !== undefined ? ` on ${device}` : "";
  return `${protocol === IpProtocol.Tcp ? "TCP" : "UDP"}${ports} of ${where}${at}${on}`;
}

/** Equal for rules that mean the same. */
export function ruleKey(rule: PortRule): string {
  const { pif, protocol, listen, device, first, last, target, targetFirst, weak, scan } = rule;
  const ends = [addressKey(listen), device ?? "", first, last, addressKey(target), targetFirst];
  return [pif, protocol, ...ends, weak, scan].join(" ");
}

const addressKey = (address: Address | undefined): string =>
  address === undefined ? "*" : formatIp(address);

/** What goes for all rules of a container. */
export interface PortPolicy {
  /** Whether connections between the two loopbacks bypass the TAP. */
  readonly splice: boolean;
  /** Nothing but that: there is no TAP. */
  readonly spliceOnly: boolean;
  /** Connections to the host's loopback arrive at the container's loopback, at the same address. */
  readonly hostLoopbackToContainer: boolean;
}
