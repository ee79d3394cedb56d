/** What every protocol works with: the host, the table, the link, and the place for outgoing frames. */
import type { Counters } from "../base/counters.ts";
import type { FlowTable } from "../flow/table.ts";
import type { TimerWheel } from "../flow/timers.ts";
import type { AddressRules } from "../forward/address-rules.ts";
import type { Listeners } from "../forward/listeners.ts";
import type { PortPolicy } from "../forward/port-rule.ts";
import type { Log } from "../log/logger.ts";
import type { Host } from "./host.ts";
import type { Link } from "./link.ts";
import type { TokenBucket } from "./token-bucket.ts";

/** Where things are in the arena. Offsets and lengths in bytes. */
export interface ArenaPlan {
  /** Received frames, packed one behind the other. */
  receiveAt: number;
  receiveLength: number;
  /** One outgoing frame: OUT_LENGTH bytes. */
  sendAt: number;
  /** Chunks for what host sockets did not take yet. */
  poolAt: number;
  poolLength: number;
  /** Packets being put together from fragments: FRAGMENT_SLOTS times FRAGMENT_SLOT_LENGTH, or 0 to do without. */
  fragmentsAt: number;
  fragmentsLength: number;
  /** Questions to resolvers that wait for an answer: QUESTIONS times QUESTION_LENGTH. */
  questionsAt: number;
}

/** Room for the headers of an outgoing frame: virtio_net_hdr 10, Ethernet 14, IPv6 40, TCP 20 with options. */
export const OUT_HEADROOM = 128;
/** Bytes of an outgoing payload at most: what an IP packet can hold. */
export const OUT_PAYLOAD = 65_535;
/** Bytes for an outgoing frame: headers, a payload, and one more that is received behind it and may yet join it. */
export const OUT_LENGTH = OUT_HEADROOM + 2 * OUT_PAYLOAD + 64;

/** Properties of the IP packet being handled, for protocols that carry them through. */
export interface PacketInfo {
  hopLimit: number;
  dontFragment: boolean;
  /** Size of each datagram when the frame is a train of them (UDP segmentation offload), else 0. */
  segment: number;
}

export interface Net {
  readonly host: Host;
  readonly flows: FlowTable;
  /** One timer for each flow. */
  readonly timers: TimerWheel;
  readonly counters: Counters;
  readonly link: Link;
  readonly rules: AddressRules;
  /** Sockets that wait for clients. */
  readonly listeners: Listeners;
  readonly ports: PortPolicy;
  /** What is not carried at all. */
  readonly without: ReadonlySet<"tcp" | "udp" | "icmp" | "ndp">;
  /** Limit of what goes to the container; absent: none. */
  readonly ingress?: TokenBucket | undefined;
  /** Limit of what comes from it, which whoever reads the TAP sees to. */
  readonly egress?: TokenBucket | undefined;
  readonly log: Log;
  readonly plan: ArenaPlan;
  readonly packet: PacketInfo;
  /** Host-side descriptor of each flow, or -1 behind the first use; valid while the flow is ACTIVE. */
  readonly socket: Int32Array;
}

/** Whether neighbour discovery is carried: without ICMP there is none. */
export const hasNdp = ({ without }: Pick<Net, "without">): boolean =>
  !without.has("ndp") && !without.has("icmp");
