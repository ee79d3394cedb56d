/** What `bucatini status` shows of an engine. */
import type { PortRuleStatus } from "../config/control-types.ts";
import type { FamilyPlan } from "../config/network-plan.ts";
import type {
  Addressing,
  Bandwidth,
  Carrier,
  EngineOptions,
  LogLevel,
  NetworkOptions,
  Service,
} from "../config/options.ts";
import { VERSION } from "../config/generated/version.ts";
import { FLOW_TYPE_NAMES } from "../flow/state.ts";
import type { Engine } from "./engine.ts";

/** Whether and how the connection follows the host. What was given stays, and what is absent here follows. */
interface Policy {
  follow: boolean;
  addressing: Addressing;
  carrier: Carrier;
  /** The template on the host, by family where they differ. */
  template?: string;
  outboundInterface4?: string;
  outboundInterface6?: string;
  addresses?: string[];
  gateways?: string[];
  /** Destinations. */
  routes?: string[];
  mtu?: number;
  resolvers?: string[];
}

interface FamilyStatus {
  /** "address/length" */
  addresses: string[];
  gateway?: string;
  /** The template on the host; absent: there is none yet. */
  hostInterface?: string;
  /** Why that one, or what is waited for. */
  why: string;
}

export interface EngineStatus {
  id: string;
  version: string;
  pid: number;
  uptimeSeconds: number;
  /** What was asked for, which never changes. */
  policy: Policy;
  interface: string;
  /** Bytes. */
  mtu: number;
  /** How each family is connected at the moment; absent: it is off. */
  ipv4?: FamilyStatus;
  ipv6?: FamilyStatus;
  /** The resolvers outside, in order of preference. */
  resolvers: string[];
  /** TUN_F_* bits in force; 0 means that checksums and segmentation are done in the engine. */
  offloads: number;
  logLevel: LogLevel;
  /** What is switched off; absent: nothing. */
  without?: Service[];
  bandwidth?: Bandwidth;
  /** The file that gets all frames. */
  captureFile?: string;
  /** Rules of port forwarding, ports that are open for them, and what some of them wait for. */
  ports: { rules: number; open: number; waitsFor?: string[] };
  /** Flows by type; `total` counts rows that are not free. */
  flows: Record<string, number>;
  /** Counters that are not zero. */
  counters: Record<string, number>;
}

export function statusOf(options: EngineOptions, engine: Engine, offloads: number): EngineStatus {
  const { net } = engine;
  const { asked, captureFile, plan } = options;
  const { bandwidth, follow, without } = asked.network;
  const flows: Record<string, number> = { total: net.flows.active };
  net.flows.forEach((flow) => {
    const name = FLOW_TYPE_NAMES[net.flows.type[flow]];
    flows[name] = (flows[name] ?? 0) + 1;
  });
  return {
    id: options.id,
    version: VERSION,
    pid: process.pid,
    uptimeSeconds: Math.floor(process.uptime()),
    policy: policyOf(asked.network),
    interface: options.interface.name,
    mtu: net.link.mtu,
    ...(plan.ipv4.enabled && { ipv4: familyStatus(plan.ipv4, follow) }),
    ...(plan.ipv6.enabled && { ipv6: familyStatus(plan.ipv6, follow) }),
    resolvers: options.rules.dnsServers,
    offloads,
    logLevel: options.logLevel,
    ...(without.length > 0 && { without }),
    ...(bandwidth !== undefined && { bandwidth }),
    ...(captureFile !== undefined && { captureFile }),
    ports: portsOf(engine.ports.show()),
    flows,
    counters: net.counters.snapshot(),
  };
}

function portsOf(rules: readonly PortRuleStatus[]): EngineStatus["ports"] {
  const open = rules.reduce((sum, rule) => sum + rule.open, 0);
  const waitsFor = new Set(rules.flatMap((rule) => rule.waitsFor ?? []));
  return { rules: rules.length, open, ...(waitsFor.size > 0 && { waitsFor: [...waitsFor] }) };
}

function policyOf(asked: NetworkOptions): Policy {
  const { follow, addressing, carrier, template, addresses, gateways, routes, mtu, dnsHosts } = asked;
  const { outboundInterface4, outboundInterface6 } = asked;
  return {
    follow,
    addressing,
    carrier,
    ...(template !== undefined && { template }),
    ...(template === undefined && outboundInterface4 !== undefined && { outboundInterface4 }),
    ...(template === undefined && outboundInterface6 !== undefined && { outboundInterface6 }),
    ...(addresses.length > 0 && { addresses }),
    ...(gateways.length > 0 && { gateways }),
    ...(routes !== undefined && { routes: routes.map(({ destination }) => destination) }),
    ...(mtu !== undefined && { mtu }),
    ...(dnsHosts.length > 0 && { resolvers: dnsHosts }),
  };
}

const familyStatus = (
  { addresses, gateway, hostInterface, choice }: FamilyPlan,
  follow: boolean,
): FamilyStatus => ({
  addresses: addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
  ...(gateway !== undefined && { gateway }),
  ...(hostInterface !== "" && { hostInterface }),
  why: follow || hostInterface !== "" ? choice : "there was none at the start",
});
