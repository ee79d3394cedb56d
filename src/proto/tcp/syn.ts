/** What the handshakes of both directions share: the row of a new connection and what the container's SYN says. */
import { type FlowIndex, isMapped, SideWord } from "../../flow/table.ts";
import { seqAdd } from "../../wire/sequence.ts";
import { tcpSequence, tcpWindow } from "../../wire/tcp.ts";
import { tcpMss, tcpWindowScale } from "../../wire/tcp-options.ts";
import type { Net } from "../net.ts";
import { tapWords } from "../sides.ts";
import { type Connections, Event, Flag } from "./connections.ts";

/** Segment size of a container that names none (RFC 9293 section 3.7.1). */
const DEFAULT_MSS = 536;
const MIN_MSS = 88;
/** Window shifts beyond this are read as this (RFC 7323 section 2.3). */
const MAX_SHIFT = 14;
/** Shift of the windows we show; 16 bits cover the largest one (WINDOW_LIMIT in to-tap.ts) with it. */
export const WINDOW_SHIFT = 7;
/** After this long without a word from either side, the container is asked whether it still knows. */
export const IDLE_MS = 7_200_000;

/** Makes the row that of a connection of which only `event` (a bit of Event) has happened. */
export function beginRow(net: Net, c: Connections, flow: FlowIndex, event: number): void {
  c.reset(flow);
  c.events[flow] = event;
  c.activeAt[flow] = net.host.nowMs;
  c.rcvScale[flow] = WINDOW_SHIFT;
}

/** Fills the row from the container's SYN or SYN-ACK at `at`. */
export function readSyn(net: Net, c: Connections, flow: FlowIndex, at: number): void {
  const { link, flows, host } = net;
  const { view } = host.arena;
  c.rcvNxt[flow] = c.ackSent[flow] = c.rcvAdvertised[flow] = seqAdd(tcpSequence(view, at), 1);
  const mss = tcpMss(view, at);
  const largest = link.mtu - (isMapped(flows.sides, tapWords(flows, flow) + SideWord.Ours) ? 40 : 60);
  c.mss[flow] = Math.min(Math.max(mss < 0 ? DEFAULT_MSS : mss, MIN_MSS), Math.max(largest, MIN_MSS));
  const shift = tcpWindowScale(view, at);
  c.sndScale[flow] = Math.min(Math.max(shift, 0), MAX_SHIFT);
  // Both sides scale, or neither does (RFC 7323 section 2.2).
  if (shift < 0) c.rcvScale[flow] = 0;
  c.sndWnd[flow] = tcpWindow(view, at);
}

/**
 * Chooses our initial sequence number: the keyed hash of the TAP side, which must be the last one that was hashed,
 * plus a clock of 32 ns ticks (RFC 6528).
 */
export function chooseSequence(net: Net, c: Connections, flow: FlowIndex): void {
  const { flows, host } = net;
  const ticks = host.nowMs * 31_250;
  const sequence = seqAdd((flows.hashLow ^ flows.hashHigh) >>> 0, ticks % 0x100000000);
  c.sndUna[flow] = c.sndNxt[flow] = c.sndMax[flow] = sequence;
}

/** The container has acknowledged our SYN, and we have its own: data may flow. */
export function establish(c: Connections, flow: FlowIndex): void {
  c.sndUna[flow] = c.sndNxt[flow]!;
  c.retries[flow] = 0;
  c.retransmitAt[flow] = 0;
  c.events[flow] = Event.Established;
  c.flags[flow] |= Flag.Readable;
  c.ackSent[flow] = c.rcvNxt[flow]!;
}
