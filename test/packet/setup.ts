/** Lines of a script that come before time begins: what the link, the host and the rules are like. */
import { SERVICES } from "../../src/config/options.ts";
import { FRAGMENT_SLOT_LENGTH } from "../../src/proto/fragments.ts";
import { TokenBucket } from "../../src/proto/token-bucket.ts";
import type { FamilyRules } from "../../src/forward/address-rules.ts";
import { parsePrefix } from "../../src/base/address.ts";
import type { Link4 } from "../../src/proto/link.ts";
import { FakeNet, ip, type FakeNetOptions } from "../support/fake-net.ts";
import { addForward } from "./forward.ts";
import type { Line } from "./script.ts";
import { ScriptHost } from "./script-host.ts";

export interface Setup {
  net: FakeNet;
  host: ScriptHost;
  /** Our initial sequence number of the first connection, if the script wants a certain one. */
  ourIsn: number | undefined;
}

/** Builds the network that the `config` lines describe. */
export function buildNet(lines: readonly Line[]): Setup {
  const configs = lines.flatMap(({ action }) => (action.kind === "config" ? [action.words] : []));
  const value = (name: string): string | undefined => configs.find(([word]) => word === name)?.[1];
  const wordsOf = (name: string): string[] => configs.find(([word]) => word === name)?.slice(1) ?? [];
  for (const [name] of configs) if (!NAMES.has(name)) throw new Error(`unknown configuration "${name}"`);
  const offload = value("offload") !== "off";
  const net = new FakeNet({
    capacity: Number(value("flows") ?? 64),
    offload,
    udpOffload: offload && value("udp-offload") !== "off",
    without: new Set(wordsOf("without").map((word) => SERVICES.find((service) => service === word)!)),
    ...limits(wordsOf("ingress"), "ingress"),
    ...limits(wordsOf("egress"), "egress"),
    makeHost: (table, length) => new ScriptHost(table, length),
  });
  if (net.egress !== undefined) net.egress.isIdle = false;
  if (!(net.host instanceof ScriptHost)) throw new Error("not the host that was asked for");
  net.link.mtu = Number(value("mtu") ?? 1500);
  net.link.v4.enabled = value("ipv4") !== "off";
  net.link.v6.enabled = value("ipv6") !== "off";
  net.plan.poolLength = Math.min(Number(value("pool") ?? net.plan.poolLength), net.plan.poolLength);
  const slots = value("fragments");
  if (slots !== undefined) net.plan.fragmentsLength = Number(slots) * FRAGMENT_SLOT_LENGTH;
  const loopback = value("host-loopback-to-container") === "on";
  net.ports = { splice: value("splice") !== "off", spliceOnly: false, hostLoopbackToContainer: loopback };
  for (const words of configs) applyRule(net, words);
  const isn = value("our-isn");
  return { net, host: net.host, ourIsn: isn === undefined ? undefined : Number(isn) >>> 0 };
}

/** RATE BURST, in bytes */
const limits = ([rate, burst]: string[], name: "ingress" | "egress"): FakeNetOptions =>
  rate === undefined ? {} : { [name]: new TokenBucket({ rate: Number(rate), burst: Number(burst) }, 0) };

const NAMES: ReadonlySet<string> = new Set(
  (
    "offload udp-offload flows mtu ipv4 ipv6 pool fragments our-isn " +
    "dhcp resolvers search hostname fqdn prefix-length address route " +
    "advertise map-host-loopback map-guest dns outbound outbound-interface " +
    "follow pinned without ingress egress forward splice host-loopback-to-container gateway neighbor router"
  ).split(" "),
);

function applyRule(net: FakeNet, [name, ...values]: string[]): void {
  const { rules, link } = net;
  const family = (address: string): FamilyRules => (address.includes(":") ? rules.v6 : rules.v4);
  switch (name) {
    case "map-host-loopback":
      family(values[0]).mapHostLoopback = ip(values[0]);
      break;
    case "map-guest":
      family(values[0]).mapGuest = ip(values[0]);
      break;
    case "dns": {
      // dns ADDRESS to SERVER [SERVER...]
      family(values[0]).dnsMatch = ip(values[0]);
      rules.dnsServers = values.slice(2).map(ip);
      break;
    }
    case "outbound":
      family(values[0]).outbound = ip(values[0]);
      break;
    case "outbound-interface":
      rules.v4.outboundInterface = rules.v6.outboundInterface = values[0];
      break;
    case "gateway":
      family(values[0]).gateway = ip(values[0]);
      if (!values[0].includes(":")) addRoute(link.v4, "0.0.0.0/0", values[0]);
      break;
    case "neighbor":
      net.host.neighbours.set(values[0], values[1]);
      break;
    case "router":
      // router ADDRESS DESTINATION...
      for (const destination of values.slice(1)) net.host.nexthops.set(destination, values[0]);
      break;
    case "forward":
      addForward(net, values.join(" "));
      break;
    case "advertise":
      // advertise [RESOLVER...]
      link.routerAdvertisements = true;
      link.advertise.resolvers = values.map(ip);
      break;
    default:
      applyService(net, name, values);
  }
}

/** What programs in the container are told that ask. */
function applyService({ link, rules }: FakeNet, name: string, values: string[]): void {
  switch (name) {
    case "follow":
      link.follows = true;
      break;
    case "pinned":
      rules.v4.isFixed = rules.v6.isFixed = true;
      break;
    case "dhcp":
      link.v4.dhcp = link.v6.dhcp = true;
      break;
    case "resolvers":
      link.advertise.resolvers = values.map(ip);
      break;
    case "search":
      link.advertise.searchDomains = values;
      break;
    case "hostname":
    case "fqdn":
      link.advertise[name] = values[0];
      break;
    case "prefix-length":
      link.v4.prefixLengths[0] = Number(values[0]);
      break;
    case "address":
      // "none": the container has none of its own.
      link.v4.prefixLengths.push(24);
      if (values[0] === "none") link.v4.assigned.length = link.v6.assigned.length = 0;
      else (values[0].includes(":") ? link.v6 : link.v4).assigned.push(ip(values[0]));
      break;
    case "route":
      // route DESTINATION/LENGTH [GATEWAY]
      addRoute(link.v4, values[0], values.at(1));
      break;
    default:
  }
}

function addRoute({ routes }: Link4, destination: string, gateway: string | undefined): void {
  const prefix = parsePrefix(destination);
  if (prefix === undefined) throw new Error(`no destination: ${destination}`);
  const via = gateway === undefined ? 0 : ip(gateway)[3];
  routes.push({ destination: prefix.address[3], length: prefix.length, gateway: via });
}
