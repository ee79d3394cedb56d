/**
 * What host, resolv.conf and options come to. Pure: the launcher makes it at the start and the engine again whenever
 * something of the host changes, by the same rules.
 */
import { isIpv4, isLinkLocal, isLoopback, parseIp } from "../base/address.ts";
import { ofFamily, type Template } from "./host-template.ts";
import { type NetworkPlan, planNetwork } from "./network-plan.ts";
import type { AdvertiseOptions, NetworkOptions, RuleOptions } from "./options.ts";
import type { ResolvConf } from "./resolv-conf.ts";
import { specialRoutes } from "./special-routes.ts";

/** What was asked for; it never changes. */
export interface ConnectionOptions {
  network: NetworkOptions;
  /** Addresses inside that forward DNS. */
  dnsForward: readonly string[];
}

/** Whether addresses and routes inside change when the host does. */
export const changesContainer = ({ network }: ConnectionOptions): boolean =>
  network.follow && network.configure && !network.ports.spliceOnly;

/** How the container is connected at the moment. */
export interface Connection {
  plan: NetworkPlan;
  rules: RuleOptions;
  advertise: AdvertiseOptions;
}

export function connectionOf(
  template: Template,
  resolvConf: ResolvConf,
  options: ConnectionOptions,
): Connection {
  const { network } = options;
  const whole = planNetwork(template, network);
  const plan = network.ports.spliceOnly ? withoutLink(whole) : whole;
  const rules = ruleOptions(options, plan, resolvConf);
  addSpecialRoutes(plan, rules);
  return { plan, rules, advertise: advertiseOptions(network, rules, resolvConf) };
}

/** All that is left without a TAP is the loopback interface, which the kernel configures. */
const withoutLink = (plan: NetworkPlan): NetworkPlan => ({
  ...plan,
  ipv4: { ...plan.ipv4, addresses: [], routes: [] },
  ipv6: { ...plan.ipv6, addresses: [], routes: [] },
});

/** A container must reach what stands for resolver and host even where the host's routes lead nowhere. */
function addSpecialRoutes(plan: NetworkPlan, rules: RuleOptions): void {
  const addresses4 = [rules.dnsMatch4, rules.mapHostLoopback4, rules.mapGuest4];
  const addresses6 = [rules.dnsMatch6, rules.mapHostLoopback6, rules.mapGuest6];
  for (const [family, familyPlan, addresses] of [
    [4, plan.ipv4, addresses4],
    [6, plan.ipv6, addresses6],
  ] as const) {
    if (!familyPlan.enabled) continue;
    const special = addresses.filter((each) => each !== undefined);
    familyPlan.routes.push(...specialRoutes(family, familyPlan, special));
  }
}

/** The rules of forwarding that options and plan come to. */
export function ruleOptions(
  { network, dnsForward }: ConnectionOptions,
  plan: NetworkPlan,
  resolvConf: ResolvConf,
): RuleOptions {
  const hosts = network.dnsHosts;
  const rules: RuleOptions = { dnsServers: hosts.length > 0 ? hosts : resolvConf.nameservers };
  for (const [suffix, v6, family] of [
    ["4", false, plan.ipv4],
    ["6", true, plan.ipv6],
  ] as const) {
    const mapped = network.mapHostLoopback === "none" ? [] : network.mapHostLoopback;
    const loopback = ofFamily(mapped, v6) ?? (network.mapGateway ? family.gateway : undefined);
    const guest = network.mapGuest === "none" ? undefined : ofFamily(network.mapGuest, v6);
    const dns = ofFamily(dnsForward, v6);
    const outbound = ofFamily(network.outbound, v6);
    if (loopback !== undefined) rules[`mapHostLoopback${suffix}`] = loopback;
    if (guest !== undefined) rules[`mapGuest${suffix}`] = guest;
    if (dns !== undefined) rules[`dnsMatch${suffix}`] = dns;
    if (outbound !== undefined) rules[`outbound${suffix}`] = outbound;
    const device = network[`outboundInterface${suffix}`];
    if (device !== undefined) rules[`outboundInterface${suffix}`] = device;
  }
  return rules;
}

/** What whoever asks is told: resolvers that mean the same inside, and the host's search list. */
export function advertiseOptions(
  { advertise }: Pick<NetworkOptions, "advertise">,
  { dnsMatch4, dnsMatch6, dnsServers }: RuleOptions,
  { search }: ResolvConf,
): AdvertiseOptions {
  const resolvers = [
    ...(dnsMatch4 === undefined ? dnsServers.filter((text) => isReachable(text, false)) : [dnsMatch4]),
    ...(dnsMatch6 === undefined ? dnsServers.filter((text) => isReachable(text, true)) : [dnsMatch6]),
  ];
  return { resolvers, searchDomains: search, ...advertise };
}

/** Whether an address of the host's is the same inside, and of this family. */
function isReachable(text: string, v6: boolean): boolean {
  const address = parseIp(text);
  if (address === undefined || isIpv4(address) === v6) return false;
  return !isLoopback(address) && !isLinkLocal(address);
}
