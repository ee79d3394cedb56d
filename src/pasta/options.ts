/**
 * The options of pasta(1) of October 2026, all of them: those that work here, those that ask for what is so anyway, and
 * those that cannot be had, each with the reason; and what only bucatini has.
 */
import { NETWORK_OPTIONS } from "../config/from-cli.ts";
import type { WordSpec } from "./getopt.ts";

export interface PastaOption extends WordSpec {
  /** Why it cannot be had; a clause that goes behind the option's name. */
  readonly refused?: string;
}

const many = { repeatable: true } as const;

const virtualMachine = (name: string, more: Partial<PastaOption> = {}): PastaOption => ({
  name,
  ...more,
  help: "for virtual machines",
  refused: "is for virtual machines, which passt connects; bucatini connects containers only",
});

const PROCESS: readonly PastaOption[] = [
  { name: "debug", short: "d", help: "log what happens to connections" },
  { name: "trace", help: "log everything" },
  {
    name: "stats",
    value: "SECONDS",
    help: "print statistics to stderr, at most that often; with --foreground",
  },
  { name: "quiet", short: "q", help: "warnings and errors only" },
  { name: "foreground", short: "f", help: "stay until the namespace goes away; log to stderr" },
  { name: "stderr", short: "e", help: "nothing more: messages go to stderr anyway" },
  { name: "log-file", short: "l", value: "PATH", help: "log there" },
  { name: "log-size", value: "BYTES", help: "size of the log, 1 MiB by default" },
  { name: "runas", value: "USER[:GROUP]", help: "what the engine runs as; needs root" },
  {
    name: "conf-path",
    short: "c",
    value: "PATH",
    help: "control socket for pesto",
    refused:
      'is for pesto(1), whose protocol is not spoken here: "bucatini ports" changes ports while the engine runs',
  },
  { name: "help", short: "h", help: "this text" },
  { name: "version", help: "the version" },
  { name: "pcap", short: "p", value: "FILE", help: "write all frames of the namespace to a pcap file" },
  { name: "pid", short: "P", value: "FILE", help: "file that gets the number of the engine's process" },
];

const LINK: readonly PastaOption[] = [
  { name: "mtu", short: "m", value: "BYTES", help: "MTU inside, 65520 by default; 0 leaves it alone" },
  { name: "address", short: "a", value: "ADDR[/LEN]", ...many, help: "address inside" },
  {
    name: "netmask",
    short: "n",
    value: "MASK",
    help: "netmask or prefix length of the latest IPv4 --address",
  },
  { name: "mac-addr", short: "M", value: "MAC", help: "our MAC address on the link" },
  { name: "ns-mac-addr", value: "MAC", help: "MAC address inside" },
  { name: "gateway", short: "g", value: "ADDR", ...many, help: "default gateway inside, one of each family" },
  {
    name: "interface",
    short: "i",
    value: "NAME",
    help: "interface of the host to take addresses and routes from",
  },
  { name: "ns-ifname", short: "I", value: "NAME", help: "name of the interface inside" },
  { name: "outbound", short: "o", value: "ADDR", ...many, help: "source address of connections outside" },
  { name: "outbound-if4", value: "NAME", help: "interface that IPv4 connections outside are bound to" },
  { name: "outbound-if6", value: "NAME", help: "interface that IPv6 connections outside are bound to" },
  { name: "map-host-loopback", value: "ADDR|none", ...many, help: "address inside for the host's loopback" },
  { name: "no-map-gw", help: "do not let the gateway stand for the host's loopback" },
  { name: "map-guest-addr", value: "ADDR|none", ...many, help: "address inside for the host's own address" },
  { name: "ipv4-only", short: "4", help: "no IPv6" },
  { name: "ipv6-only", short: "6", help: "no IPv4" },
  { name: "config-net", help: "set addresses and routes inside, and bring the interface up" },
  {
    name: "no-copy-routes",
    help: "only a default route",
    refused: "is deprecated: --gateway ADDR does the same for the family of ADDR",
  },
  {
    name: "no-copy-addrs",
    help: "only one address",
    refused: "is deprecated: --address ADDR does the same for the family of ADDR",
  },
];

const SERVICES: readonly PastaOption[] = [
  { name: "dns", short: "D", value: "ADDR|none", ...many, help: "resolvers for --dhcp-dns, not the host's" },
  { name: "dns-forward", value: "ADDR", ...many, help: "address inside that stands for the host's resolver" },
  { name: "dns-host", value: "ADDR", ...many, help: "resolver outside, instead of those in resolv.conf" },
  {
    name: "search",
    short: "S",
    value: "LIST|none",
    ...many,
    help: "domains for --dhcp-search, not the host's",
  },
  { name: "dhcp-dns", help: "tell resolvers by DHCP, DHCPv6 and router advertisements" },
  { name: "no-dhcp-dns", help: "do not; the default" },
  { name: "dhcp-search", help: "tell search domains by DHCP, DHCPv6 and router advertisements" },
  { name: "no-dhcp-search", help: "do not; the default" },
  { name: "hostname", short: "H", value: "NAME", help: "host name for COMMAND and for DHCP clients" },
  { name: "fqdn", value: "NAME", help: "full name for DHCP and DHCPv6 clients" },
  { name: "no-tcp", help: "no TCP" },
  { name: "no-udp", help: "no UDP" },
  { name: "no-icmp", help: "no ping, and no NDP" },
  { name: "no-dhcp", help: "no DHCP server" },
  { name: "no-dhcpv6", help: "no DHCPv6 server" },
  { name: "no-ndp", help: "no answers to NDP" },
  { name: "no-ra", help: "no router advertisements; with --config-net there are none anyway" },
];

const SPEC = { value: "SPEC", ...many, hasCommas: true } as const;

const PORTS: readonly PastaOption[] = [
  { name: "tcp-ports", short: "t", ...SPEC, help: "TCP ports of the host that lead inside; auto by default" },
  { name: "udp-ports", short: "u", ...SPEC, help: "UDP ports of the host that lead inside; auto by default" },
  { name: "tcp-ns", short: "T", ...SPEC, help: "TCP ports inside that lead to the host; auto by default" },
  { name: "udp-ns", short: "U", ...SPEC, help: "UDP ports inside that lead to the host; auto by default" },
  { name: "freebind", help: "listen on addresses that the host does not have yet, too" },
  { name: "host-lo-to-ns-lo", help: "connections to the host's loopback arrive at the namespace's loopback" },
  { name: "no-splice", help: "connections from the host's loopback go over the interface, as all others" },
  { name: "splice-only", help: "connect the two loopbacks and nothing else: no interface" },
];

const NAMESPACES: readonly PastaOption[] = [
  { name: "userns", value: "PATH", help: "user namespace to join" },
  { name: "netns", value: "PATH|NAME", help: "network namespace to connect" },
  { name: "netns-only", help: "join and make no user namespace" },
  { name: "no-netns-quit", help: "stay when the namespace goes away" },
  { name: "no-pidns", help: "COMMAND stays in this PID namespace" },
  { name: "chroot-fallback", help: "nothing more: no file system is changed for which this would be needed" },
];

const PASST: readonly PastaOption[] = [
  virtualMachine("socket", { short: "s", value: "PATH" }),
  virtualMachine("vhost-user"),
  virtualMachine("print-capabilities"),
  virtualMachine("socket-path", { value: "PATH" }),
  virtualMachine("fd", { short: "F", value: "FD" }),
  virtualMachine("one-off", { short: "1" }),
  virtualMachine("repair-path", { value: "PATH" }),
  virtualMachine("migrate-exit"),
  virtualMachine("migrate-no-linger"),
];

/** Without letters, and never cut: what callers of pasta write must keep its meaning. */
const OURS: readonly PastaOption[] = NETWORK_OPTIONS.filter(({ name }) =>
  ["no-follow", "addressing", "carrier"].includes(name),
).map((option) => ({ ...option, isWhole: true }));

/** In the order of the help. */
export const PASTA_OPTIONS: readonly PastaOption[] = [
  ...PROCESS,
  ...LINK,
  ...SERVICES,
  ...PORTS,
  ...NAMESPACES,
  ...PASST,
  ...OURS,
];
