/** Our initial sequence numbers depend on a keyed hash and the clock: so the clock can choose one. */
import { Stack } from "../../src/proto/stack.ts";
import { ETHERNET_LENGTH, EtherType, etherType } from "../../src/wire/ethernet.ts";
import { tcpSequence } from "../../src/wire/tcp.ts";
import { VNET_LENGTH } from "../../src/wire/vnet.ts";
import { hasFlag } from "./compare.ts";
import { visit } from "./forward.ts";
import { buildFrame, ipHeaderLength } from "./packets-in.ts";
import type { Line } from "./script.ts";
import { buildNet } from "./setup.ts";

/** Ticks of the clock in an initial sequence number, per millisecond. */
const TICKS = 31_250;
const EPOLLIN = 1;
const EPOLLOUT = 4;

/** Milliseconds by which the script must begin later, so that its first SYN is answered with this number. */
export function delayFor(wanted: number, lines: readonly Line[]): number {
  const ticks = (wanted - firstIsn(lines)) >>> 0;
  // Half a tick more, lest rounding take one away.
  return (ticks + 0.5) / TICKS;
}

/** Our number for the script's first SYN if it comes when scripts usually begin. */
function firstIsn(lines: readonly Line[]): number {
  const { net, host } = buildNet(lines);
  const stack = new Stack(net);
  const flows = lines.flatMap(({ action }) => (action.kind === "flow" ? [action.flow] : []));
  let isn = 0;
  host.witness = {
    call: () => undefined,
    result: () => undefined,
    frame: (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const v6 = etherType(view, VNET_LENGTH) === EtherType.Ipv6;
      isn = tcpSequence(view, VNET_LENGTH + ETHERNET_LENGTH + ipHeaderLength(v6));
      return undefined;
    },
  };
  for (const { action } of lines) {
    if (action.kind === "event" && action.words[0] === "accept") {
      const { slot, socket, client } = visit(net, "tcp", action.words[1], action.words[3]);
      socket.waiting.push(client);
      stack.listenerEvent(slot, EPOLLIN);
      stack.service();
      break;
    }
    if (action.kind !== "input" || action.packet.body.kind !== "tcp") continue;
    const flow = flows.find(({ name }) => name === action.flow);
    if (flow === undefined || !hasFlag(action.packet.body, "S")) continue;
    const frame = buildFrame(action.packet, flow, { theirs: flow.isn, ours: 0 });
    stack.frame(net.plan.receiveAt, net.place(frame));
    stack.endOfFrames();
    stack.socketEvent(1, EPOLLOUT);
    break;
  }
  return isn;
}
