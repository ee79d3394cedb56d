/** Whether rules of port forwarding can work, each by itself and all together. */
import { formatIp, isGroup, isIpv4, isLoopback, isUnicast, isUnspecified } from "../base/address.ts";
import { AppError } from "../base/errors.ts";
import { Pif } from "../flow/state.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import type { Address } from "./address-rules.ts";
import { describeListeners, listensAt, type PortRule, ruleKey } from "./port-rule.ts";

/** The address families that a container has. */
export interface Families {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

const PORT_MAX = 0xffff;

/**
 * Checks rules that are to be in force together; their order means nothing. Throws AppError (USAGE).
 *
 * @returns the same rules, where "every address" means every one of a family that there is and that the target has
 */
export function checkRules(rules: readonly PortRule[], families: Families): PortRule[] {
  const checked = rules.map((rule) => narrow(rule, families));
  for (const rule of checked) {
    const problem = problemOf(rule, families);
    if (problem !== "") throw new AppError("USAGE", `${describeRule(rule)}: ${problem}`);
  }
  checkOverlap(checked);
  return checked;
}

function describeRule(rule: PortRule): string {
  const { first, last } = rule;
  return describeListeners(rule, first === last ? ` port ${first}` : ` ports ${first} to ${last}`);
}

const ANY_4: Address = Uint32Array.of(0, 0, 0xffff, 0);
const ANY_6: Address = new Uint32Array(4);

function narrow(rule: PortRule, { ipv4, ipv6 }: Families): PortRule {
  if (rule.listen !== undefined) return rule;
  const { target } = rule;
  if (target !== undefined) return { ...rule, listen: isIpv4(target) ? ANY_4 : ANY_6 };
  if (ipv4 && ipv6) return rule;
  return { ...rule, listen: ipv4 ? ANY_4 : ANY_6 };
}

/** What is wrong with a rule; empty when nothing is. */
function problemOf(rule: PortRule, families: Families): string {
  const { first, last, targetFirst, protocol, listen, target } = rule;
  const lastTarget = targetFirst + last - first;
  if (protocol !== IpProtocol.Tcp && protocol !== IpProtocol.Udp) return "only TCP and UDP have ports";
  if (first < 1 || last > PORT_MAX || last < first)
    return `ports go from 1 to ${PORT_MAX}, the first one first`;
  if (targetFirst < 1 || lastTarget > PORT_MAX) {
    return `they would go to ports ${targetFirst} to ${lastTarget}, but ports go from 1 to ${PORT_MAX}`;
  }
  if (listen !== undefined && !(isIpv4(listen) ? families.ipv4 : families.ipv6)) {
    return `IPv${isIpv4(listen) ? 4 : 6} is switched off or not available`;
  }
  if (target !== undefined) {
    if (listen !== undefined && isIpv4(listen) !== isIpv4(target)) {
      return `${formatIp(target)} is of another family than the address in front`;
    }
    if (!isUnicast(target)) return `${formatIp(target)} is no address of a single machine`;
  }
  return rule.pif === Pif.Host ? hostProblem(rule) : containerProblem(rule);
}

function hostProblem({ protocol, listen, target }: PortRule): string {
  if (protocol === IpProtocol.Tcp && listen !== undefined && isGroup(listen))
    return "TCP has no multicast or broadcast addresses";
  if (target === undefined || !isLoopback(target)) return "";
  return `${formatIp(target)} is the container's loopback, which no packet from outside may reach`;
}

function containerProblem({ listen, target }: PortRule): string {
  if (listen !== undefined && !isLoopback(listen) && !isUnspecified(listen))
    return `${formatIp(listen)} is no loopback address`;
  if (target !== undefined && !isLoopback(target)) {
    return `${formatIp(target)} is no loopback address: all others are reached without a rule`;
  }
  return "";
}

/** Two rules that want the same port would make it a matter of luck where a client arrives. */
function checkOverlap(rules: readonly PortRule[]): void {
  /** Rules whose ports may go on beyond those of the rule at hand. */
  let open: PortRule[] = [];
  for (const rule of rules.toSorted((a, b) => a.first - b.first)) {
    open = open.filter(({ last }) => last >= rule.first);
    const other = open.find((candidate) => conflict(rule, candidate));
    if (other !== undefined) {
      const isThere = ruleKey(rule) === ruleKey(other);
      const why = isThere ? "this rule is there already" : `overlaps with ${describeRule(other)}`;
      throw new AppError("USAGE", `${describeRule(rule)}: ${why}; ${remedy(rule, other)}`);
    }
    open.push(rule);
  }
}

/** @param other begins where `rule` does, or before it */
function remedy(rule: PortRule, other: PortRule): string {
  if (other.first === other.last || ruleKey(rule) === ruleKey(other)) return "leave one of them out";
  const last = Math.min(rule.last, other.last);
  return `exclude ~${rule.first}${last === rule.first ? "" : `-${last}`} there`;
}

/**
 * Tells whether rules with a port in common want the same clients. As in the kernel, sockets bound to different
 * devices do not: a packet arrives at one device, and a socket bound to none would take those of all.
 */
function conflict(a: PortRule, b: PortRule): boolean {
  if (a.pif !== b.pif || a.protocol !== b.protocol) return false;
  if (a.device !== undefined && b.device !== undefined && a.device !== b.device) return false;
  if (a.listen === undefined || b.listen === undefined) return true;
  return listensAt(a, b.listen, 0) || listensAt(b, a.listen, 0);
}

/**
 * Checks rules of a container where clients of the host's loopback arrive at its loopback: nobody may be led from there
 * back to the port from which he came, for ever. Automatic rules see to that themselves. Throws AppError (USAGE).
 */
export function checkLoops(rules: readonly PortRule[]): void {
  for (const rule of rules) {
    const back = rules.find((other) => leadsBack(rule, other));
    if (back === undefined) continue;
    const problem = `it leads to the container's loopback, and there ${describeRule(back)} leads back`;
    throw new AppError("USAGE", `${describeRule(rule)}: ${problem}`);
  }
}

const LOOPBACKS: readonly Address[] = [Uint32Array.of(0, 0, 0xffff, 0x7f000001), Uint32Array.of(0, 0, 0, 1)];

function leadsBack(rule: PortRule, back: PortRule): boolean {
  if (rule.pif !== Pif.Host || back.pif !== Pif.Splice || rule.protocol !== back.protocol) return false;
  if (rule.scan || back.scan || rule.target !== undefined || (rule.device ?? "lo") !== "lo") return false;
  const shift = rule.targetFirst - rule.first;
  if (back.first - back.targetFirst !== shift) return false;
  if (rule.first + shift > back.last || rule.last + shift < back.first) return false;
  return LOOPBACKS.some((loopback) => {
    const address = back.target ?? loopback;
    return listensAt(rule, address, 0) && listensAt(back, address, 0);
  });
}
