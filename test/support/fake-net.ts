/**
 * Everything a protocol works with, around a fake host. The container is 192.0.2.10 or 2001:db8::10 with the
 * MAC address 02:00:00:00:00:10; we are 192.0.2.1 and fe80::1 with 9a:55:9a:55:9a:55.
 */
import { parseIp } from "../../src/base/address.ts";
import { Counters } from "../../src/base/counters.ts";
import { FlowTable } from "../../src/flow/table.ts";
import { TimerWheel } from "../../src/flow/timers.ts";
import type { AddressRules, FamilyRules } from "../../src/forward/address-rules.ts";
import { Listeners } from "../../src/forward/listeners.ts";
import type { PortPolicy } from "../../src/forward/port-rule.ts";
import type { Log } from "../../src/log/logger.ts";
import { FRAGMENT_SLOT_LENGTH, FRAGMENT_SLOTS } from "../../src/proto/fragments.ts";
import type { FamilyLink, Link } from "../../src/proto/link.ts";
import { type ArenaPlan, type Net, OUT_LENGTH } from "../../src/proto/net.ts";
import type { TokenBucket } from "../../src/proto/token-bucket.ts";
import { describeFrame } from "../../src/wire/describe.ts";
import { QUESTION_LENGTH, QUESTIONS } from "../../src/proto/udp-questions.ts";
import { VNET_LENGTH } from "../../src/wire/vnet.ts";
import { FakeHost } from "./fake-host.ts";
import { HOST_INTERFACE } from "./fake-neighbourhood.ts";

export const GUEST_4 = "192.0.2.10";
export const GUEST_6 = "2001:db8::10";
const GATEWAY_4 = "192.0.2.1";
const GATEWAY_6 = "fe80::1";

export interface FakeNetOptions {
  /** Rows of the flow table. */
  capacity?: number;
  /** What is not carried. */
  without?: Net["without"];
  /** Limits of what the TAP carries. */
  ingress?: TokenBucket;
  egress?: TokenBucket;
  offload?: boolean;
  udpOffload?: boolean;
  /** Makes the host, for tests that want more of it. */
  makeHost?: (table: FlowTable, arenaLength: number) => FakeHost;
}

export class FakeNet implements Net {
  readonly flows: FlowTable;
  readonly timers: TimerWheel;
  readonly host: FakeHost;
  readonly counters = new Counters();
  readonly link: Link;
  readonly rules: AddressRules;
  readonly listeners: Listeners;
  ports: PortPolicy = { splice: true, spliceOnly: false, hostLoopbackToContainer: false };
  readonly without: Net["without"];
  readonly ingress: TokenBucket | undefined;
  readonly egress: TokenBucket | undefined;
  readonly log: Log;
  readonly plan: ArenaPlan;
  readonly packet = { hopLimit: 64, dontFragment: true, segment: 0 };
  readonly socket: Int32Array;
  /** Warnings and errors that were logged. */
  readonly messages: string[] = [];

  constructor(options: FakeNetOptions = {}) {
    const { capacity = 64, offload = true, udpOffload = true } = options;
    const makeHost = options.makeHost ?? ((table, length) => new FakeHost(table, length));
    this.without = options.without ?? new Set();
    this.ingress = options.ingress;
    this.egress = options.egress;
    this.flows = new FlowTable(capacity, Uint32Array.of(1, 2, 3, 4));
    this.plan = layOut();
    this.host = makeHost(this.flows, this.plan.questionsAt + QUESTIONS * QUESTION_LENGTH);
    this.listeners = new Listeners((fd) => this.host.close(fd));
    this.timers = new TimerWheel(capacity, this.host.nowMs);
    this.socket = new Int32Array(capacity).fill(-1);
    this.link = {
      mtu: 1500,
      ourMac: Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55),
      guestMac: Uint8Array.of(2, 0, 0, 0, 0, 0x10),
      v4: {
        enabled: true,
        ours: ip(GATEWAY_4),
        assigned: [ip(GUEST_4)],
        dhcp: false,
        neighbourhood: HOST_INTERFACE,
        prefixLengths: [24],
        routes: [],
      },
      v6: {
        enabled: true,
        ours: ip(GATEWAY_6),
        assigned: [ip(GUEST_6)],
        dhcp: false,
        neighbourhood: HOST_INTERFACE,
        routes: [{ address: ip("::"), length: 0 }],
      },
      follows: false,
      routerAdvertisements: false,
      advertise: { resolvers: [], searchDomains: [] },
      offload,
      udpOffload,
    };
    const { v4, v6 } = this.link;
    this.rules = { v4: noRules(v4), v6: noRules(v6), dnsServers: [] };
    const note = (message: string): void => void this.messages.push(message);
    this.log = {
      traceOn: false,
      debugOn: false,
      error: note,
      warn: note,
      info: ignore,
      debug: ignore,
      trace: ignore,
    };
  }

  /** Lets time pass; call what is due afterwards. */
  advance(milliseconds: number): void {
    this.host.nowMs += milliseconds;
  }

  /** Describes the frames to the container since the last call. */
  takeFrames(): string[] {
    return this.host.frames.splice(0).map((frame) => {
      const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
      return describeFrame(view, VNET_LENGTH, frame.byteLength);
    });
  }

  /** Puts a frame into the receive area; returns its end. It starts at `plan.receiveAt`. */
  place(frame: Uint8Array, at: number = this.plan.receiveAt): number {
    this.host.arena.bytes.set(frame, at);
    return at + frame.length;
  }

  /** The flows there are, in order. */
  openFlows(): number[] {
    const open: number[] = [];
    this.flows.forEach((flow) => open.push(flow));
    return open;
  }
}

/** An address from its text. */
export function ip(text: string): Uint32Array {
  const words = parseIp(text);
  if (words === undefined) throw new Error(`not an address: ${text}`);
  return words;
}

const ignore = (): void => {};

const noRules = ({ ours, assigned }: FamilyLink): FamilyRules => ({
  ours,
  gateway: undefined,
  assigned,
  seen: assigned[0].slice(),
  seenLinkLocal: new Uint32Array(4),
  isFixed: false,
  mapHostLoopback: undefined,
  hostAddress: assigned[0],
  mapGuest: undefined,
  dnsMatch: undefined,
  outbound: undefined,
  outboundInterface: undefined,
});

function layOut(): ArenaPlan {
  const receiveLength = 1024 * 1024;
  const poolLength = 1024 * 1024;
  return {
    receiveAt: 0,
    receiveLength,
    sendAt: receiveLength,
    poolAt: receiveLength + OUT_LENGTH,
    poolLength,
    fragmentsAt: receiveLength + OUT_LENGTH + poolLength,
    fragmentsLength: FRAGMENT_SLOTS * FRAGMENT_SLOT_LENGTH,
    questionsAt: receiveLength + OUT_LENGTH + poolLength + FRAGMENT_SLOTS * FRAGMENT_SLOT_LENGTH,
  };
}
