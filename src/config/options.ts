/**
 * Everything a person or a caller may ask for, and what the engine is told. Both are plain JSON: they cross
 * process borders. Addresses are text in canonical form.
 */
import type { ConnectionOptions } from "./connection.ts";
import type { NetworkPlan } from "./network-plan.ts";

/** From the least to the most talkative. */
export const LOG_LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Flows one container may have open at the same time unless it is told otherwise. */
export const DEFAULT_FLOWS = 65_536;
export const FLOWS_MIN = 16;
export const FLOWS_MAX = 1_048_576;
/** Bytes that all flows of one container may hold back because a host socket is full. */
export const PENDING_BYTES = 64 * 1024 * 1024;
/** Largest MTU of the TAP: 65,535 bytes of frame less the Ethernet header, rounded down to a multiple of 4. */
export const MTU_MAX = 65_520;
/** Smallest MTU that IPv4 allows (RFC 791 section 3.2). */
export const MTU_MIN = 68;

/**
 * The resolver that the container sees when bucatini writes its resolv.conf. Both are constant, so that the
 * file stays true when the host moves to other resolvers, and both are reached over the default route alone.
 * IPv4: link-local (RFC 3927), which no router forwards, and so can hide no real server. IPv6: a link-local
 * address would need a zone, which many resolver libraries do not read from resolv.conf; so a unique local
 * address (RFC 4193) whose prefix spells "bucatin".
 */
export const RESOLVER_4 = "169.254.1.1";
export const RESOLVER_6 = "fd62:7563:6174:696e::53";

/** Who initiates: clients of the host ("host", options -t and -u) or the container's loopback ("container", -T, -U). */
export type PortSide = "host" | "container";

/** Rules of port forwarding that one container may have; a range of ports is one rule. */
export const PORT_RULES_MAX = 4096;

/** One rule of port forwarding as plain JSON; forward/port-rules.ts says what it does. */
export interface PortRuleOptions {
  side: PortSide;
  protocol: "tcp" | "udp";
  /** Where to listen; absent: on every address. */
  address?: string;
  /** Interface that listeners are bound to (SO_BINDTODEVICE). */
  interface?: string;
  /** Ports to listen on, both included, 1 to 65,535. */
  first: number;
  last: number;
  /** Address inside that connections go to, instead of the one that follows from where they come from. */
  targetAddress?: string;
  /** Port that `first` goes to; the others follow. */
  targetFirst: number;
  /** A port that cannot be had is no error. */
  weak?: true;
  /** Only ports on which somebody listens on the other side ("auto"). */
  scan?: true;
}

/** How ports are forwarded. */
export interface PortOptions {
  rules: PortRuleOptions[];
  /** Whether connections between the two loopbacks bypass the TAP. */
  splice: boolean;
  /** Nothing but the bypass: no TAP. */
  spliceOnly: boolean;
  /** Connections to the host's loopback arrive at the container's loopback, at the same address. */
  hostLoopbackToContainer: boolean;
  /** Listeners may be bound to addresses that are not there yet (IP_FREEBIND). */
  freebind: boolean;
}

export const DEFAULT_PORTS: PortOptions = {
  rules: [],
  splice: true,
  spliceOnly: false,
  hostLoopbackToContainer: false,
  freebind: false,
};

/** What the engine can be told not to do. Without ICMP there is no NDP either. */
export const SERVICES = ["tcp", "udp", "icmp", "ndp"] as const;
export type Service = (typeof SERVICES)[number];

/** One direction of a token bucket. */
export interface BandwidthLimit {
  /** Bytes in a second, on average; at least 1. */
  rate: number;
  /** Bytes that may pass at once after a pause; at least 1. */
  burst: number;
}

/** Limits of what passes the TAP, counted in bytes of IP packets. */
export interface Bandwidth {
  /** To the container. */
  ingress?: BandwidthLimit;
  /** From the container. */
  egress?: BandwidthLimit;
}

/** A route inside, as asked for. */
export interface RouteOptions {
  /** "address/length" */
  destination: string;
  /** Absent: everybody there is on the link. */
  gateway?: string;
  /** Lower is preferred; absent or 0 is the kernel's default. */
  metric?: number;
  /** Absent: the main table. */
  table?: number;
  /** Scope.*; absent: what follows from the gateway. */
  scope?: number;
  /** Bytes. */
  mtu?: number;
  /** Bytes that the container asks for in its TCP segments. */
  advertisedMss?: number;
}

/** Which DHCP servers the engine plays. */
export interface DhcpOptions {
  ipv4: boolean;
  ipv6: boolean;
}

/** Where the container's addresses and routes come from: the host's template, or a range that only it has. */
export const ADDRESSINGS = ["mirror", "private"] as const;
export type Addressing = (typeof ADDRESSINGS)[number];

/** Whether the container sees its link go down with the template's. */
export const CARRIERS = ["up", "follow"] as const;
export type Carrier = (typeof CARRIERS)[number];

/** How a container is to be connected, as asked for. Absent means: the default. */
export interface NetworkOptions {
  ipv4: boolean;
  ipv6: boolean;
  /** Whether the connection follows the host as long as it lasts; otherwise it stays what it was at the start. */
  follow: boolean;
  /** What "private" comes to is in `addresses` and `gateways` once it has been chosen (config/private-addresses.ts). */
  addressing: Addressing;
  carrier: Carrier;
  /** "address/length" or "address". */
  addresses: string[];
  /** At most one of each family. */
  gateways: string[];
  /** A family that has one gets these routes and no others. */
  routes?: RouteOptions[];
  /** Bytes; 0 leaves the MTU alone. */
  mtu?: number;
  mac?: string;
  /** Our own MAC address on the link. */
  ourMac?: string;
  /** Whether the launcher sets addresses, routes and link up inside; otherwise that is left to programs there. */
  configure: boolean;
  /** Name of the TAP inside. */
  interfaceName?: string;
  /** The interface of the host that is the template. */
  template?: string;
  mapGateway: boolean;
  /** Addresses inside that mean the host's loopback; "none" switches the mapping off. */
  mapHostLoopback: string[] | "none";
  /** Addresses inside that mean, on the host, the address that both share. */
  mapGuest: string[] | "none";
  /** Addresses inside that forward DNS; undefined leaves the default of the command. */
  dnsForward?: string[] | "none";
  /** Resolvers outside; empty takes those of the host's resolv.conf. */
  dnsHosts: string[];
  /** Source addresses of sockets outside, at most one of each family. */
  outbound: string[];
  /** Interface of the host that sockets outside are bound to, by family. */
  outboundInterface4?: string;
  outboundInterface6?: string;
  /** The engine plays an IPv6 router, for a container that configures itself. */
  routerAdvertisements: boolean;
  /** The engine plays a DHCP server, for programs in the container that ask for their configuration. */
  dhcp: DhcpOptions;
  /**
   * What whoever asks is told, by router advertisements and DHCP alike. A key that is absent follows from the host's
   * resolv.conf; empty lists say nothing.
   */
  advertise?: Partial<AdvertiseOptions>;
  ports: PortOptions;
  /** What the engine is not to do. */
  without: Service[];
  bandwidth?: Bandwidth;
  offload: boolean;
  flows: number;
  logLevel: LogLevel;
}

export const DEFAULT_NETWORK: NetworkOptions = {
  ipv4: true,
  ipv6: true,
  follow: true,
  addressing: "mirror",
  carrier: "up",
  configure: true,
  addresses: [],
  gateways: [],
  mapGateway: true,
  mapHostLoopback: [],
  mapGuest: [],
  dnsHosts: [],
  outbound: [],
  routerAdvertisements: false,
  dhcp: { ipv4: false, ipv6: false },
  ports: DEFAULT_PORTS,
  without: [],
  offload: true,
  flows: DEFAULT_FLOWS,
  logLevel: "info",
};

/** An open descriptor that we were started with, and what it is called (LISTEN_FDNAMES). */
export interface HandedInSocket {
  fd: number;
  name: string;
}

/** A log has room for a few long lines at least. */
export const LOG_LIMIT_MIN = 40_960;

/** A user and its only group. */
export interface Identity {
  uid: number;
  gid: number;
}

/** How the engine runs as a process, beside what it does for its container. */
export interface ProcessOptions {
  /** Absolute path; instead of engine.log in the state directory. */
  logFile?: string;
  /** Bytes that the log may have, LOG_LIMIT_MIN or more; absent: no limit. */
  logLimit?: number;
  /** Absolute path of a file that gets all frames of the TAP, in the format of pcap. */
  captureFile?: string;
  /** Prints statistics to stderr, at most once in so many seconds; only in the foreground. */
  statsSeconds?: number;
  /** Who the engine is to be, which takes root; absent: somebody without privilege when the launcher is root. */
  runAs?: Identity;
}

/** Descriptors the engine is born with. */
export interface EngineFds {
  /** The TAP inside the container's network namespace, not yet configured for offloads; -1 where there is none. */
  tap: number;
  /** rtnetlink of the host. */
  hostNetlink: number;
  /** rtnetlink of the container. */
  containerNetlink: number;
  /** Where changes of the container's network are asked for instead; -1 where `containerNetlink` is good for them. */
  guard: number;
  /** The container's network namespace (/proc/PID/ns/net). */
  netns: number;
  /** The engine writes one line of JSON to it: when it is ready, notes for people (an array of text), or an error. */
  ready: number;
  /** Where the log goes. */
  log: number;
  /** Where frames of the TAP are written down; -1 for nowhere. */
  capture: number;
  /** Where statistics are printed; -1 for nowhere. */
  statistics: number;
  /** Sockets that are bound already (see runtime/handed-in.ts). */
  listeners: HandedInSocket[];
}

/** Rules of forwarding; see forward/address-rules.ts for their meaning. Addresses as text. */
export interface RuleOptions {
  mapHostLoopback4?: string;
  mapHostLoopback6?: string;
  mapGuest4?: string;
  mapGuest6?: string;
  dnsMatch4?: string;
  dnsMatch6?: string;
  /** The host's resolvers, of both families, in order of preference. */
  dnsServers: string[];
  outbound4?: string;
  outbound6?: string;
  outboundInterface4?: string;
  outboundInterface6?: string;
}

/** What the engine tells whoever asks, beside what the plan has: addresses, routes, MTU. */
export interface AdvertiseOptions {
  /** Addresses of resolvers that the container can reach, of both families, in order of preference. */
  resolvers: string[];
  searchDomains: string[];
  /** The container's name without a domain; only DHCPv4 has a place for it (option 12). */
  hostname?: string;
  /** The container's name with its domain; only DHCP has a place for it (options 81 and 39). */
  fqdn?: string;
}

/** What ends the engine when any of it goes away. */
export interface WatchOptions {
  /** Processes: the one in the container, the one that holds its namespaces, the caller in the foreground. */
  pids: number[];
  /** The path under which the namespace is known; its removal ends the engine. */
  netnsPath?: string;
  /** An open descriptor of the directory of `netnsPath`, where that one cannot be seen. */
  directory?: number;
}

/** The one document that an engine is started with. */
export interface EngineOptions {
  id: string;
  fds: EngineFds;
  /** What was asked for, which stays. */
  asked: ConnectionOptions;
  /** What it comes to at the start, with `rules` and `advertise`. */
  plan: NetworkPlan;
  /** The interface inside: the TAP, or the loopback interface where there is none. */
  interface: {
    name: string;
    index: number;
    /** In bytes. */
    mtu: number;
    /** Its link-local IPv6 address. */
    linkLocal?: string;
  };
  rules: RuleOptions;
  advertise: AdvertiseOptions;
  watch: WatchOptions;
  /** Holds state.json, control.sock and engine.log; the engine removes it at its end, unless it becomes `runAs`. */
  stateDirectory: string;
  /** Who the engine becomes before it looks at anything from outside; absent: it stays who it was born as. */
  runAs?: Identity;
  /** In force; what was asked for is that of the start. */
  logLevel: LogLevel;
  logLimit?: number;
  /** For people: the file behind `fds.capture`. */
  captureFile?: string;
  statsSeconds?: number;
}
