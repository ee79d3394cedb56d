/**
 * ICMP errors to the container, about what it sent: relayed from the error queue of a host socket, or made here
 * when the host itself refuses. Each quotes the packet as the container sent it, from its own address to the
 * address it knows, whatever went out on the host side.
 */
import { isIpv4, isUnicast, isUnspecified, sameIp, isLoopback } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { endpointPort, oursPort, SideWord, sideProtocol, type FlowIndex } from "../flow/table.ts";
import { type Address, familyRules, insideAddress, isAccessible } from "../forward/address-rules.ts";
import { ICMP4_LENGTH, Icmp4Type, Icmp4Unreachable, writeIcmp4Echo, writeIcmp4Error } from "../wire/icmp4.ts";
import {
  ICMP6_LENGTH,
  ICMP6_MAXIMUM_QUOTE,
  Icmp6Type,
  Icmp6Unreachable,
  writeIcmp6Echo,
  writeIcmp6Error,
} from "../wire/icmp6.ts";
import { IPV4_LENGTH, writeIpv4 } from "../wire/ipv4.ts";
import { IPV6_LENGTH, writeIpv6 } from "../wire/ipv6.ts";
import { UDP_LENGTH, writeUdp } from "../wire/udp.ts";
import { Errno, ErrorOrigin } from "./linux.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";
import { hostWords, tapWords } from "./sides.ts";

/** Bytes of the transport header that every error quotes: ports and length, ports and sequence, or an echo. */
const TRANSPORT_LENGTH = 8;
/** Payload that an error about IPv4 quotes (RFC 792). */
const QUOTED_PAYLOAD_4 = 8;
const QUOTED_PAYLOAD_6 = ICMP6_MAXIMUM_QUOTE - IPV6_LENGTH - TRANSPORT_LENGTH;
/** Nobody may ask for less (RFC 8200 section 5). */
const IPV6_LEAST_MTU = 1280;
/** Hop limit of the quoted packet: nobody looks at it. */
const QUOTED_HOPS = 64;

/** Relays the entry of the error queue that `host.error` holds, about a datagram of a UDP flow. */
export function relayUdpError(net: Net, output: Output, flow: FlowIndex): void {
  const { payloadAt, payloadLength } = net.host.error;
  quoteUdp(net, output, flow, payloadAt, payloadLength);
  relay(net, output, flow, payloadLength);
}

/**
 * Tells the container that the host could not send a datagram of a UDP flow.
 *
 * @param errno why, positive; EMSGSIZE needs `mtu`, the largest IP packet in bytes
 * @param payloadAt the datagram's payload
 */
export function sendUdpError(
  net: Net,
  output: Output,
  flow: FlowIndex,
  errno: number,
  mtu: number,
  payloadAt: number,
  payloadLength: number,
): void {
  quoteUdp(net, output, flow, payloadAt, payloadLength);
  refuse(net, output, flow, errno, mtu, payloadLength);
}

/**
 * Tells the container that its TCP connection found no way: `connect` failed with `errno`, positive, such as
 * EHOSTUNREACH or ENETUNREACH. A container that still waits for its SYN to be answered gives up at once.
 *
 * @param sequence sequence number of the SYN
 */
export function sendUnreachable(
  net: Net,
  output: Output,
  flow: FlowIndex,
  errno: number,
  sequence: number,
): void {
  const { sides } = net.flows;
  const { view } = net.host.arena;
  const words = tapWords(net.flows, flow);
  const at = quoteAt(net, output, words);
  view.setUint16(at, endpointPort(sides, words));
  view.setUint16(at + 2, oursPort(sides, words));
  view.setUint32(at + 4, sequence);
  refuse(net, output, flow, errno, 0, 0);
}

/** Relays the entry of the error queue that `host.error` holds, about an echo request of a ping flow. */
export function relayPingError(net: Net, output: Output, flow: FlowIndex): void {
  const { flows, host } = net;
  const { view, bytes } = host.arena;
  const { payloadAt, payloadLength } = host.error;
  const words = tapWords(flows, flow);
  const at = quoteAt(net, output, words);
  // What was sent comes back with the identifier of the host socket.
  const sequence = payloadLength >= TRANSPORT_LENGTH ? view.getUint16(payloadAt + 6) : 0;
  const length = Math.max(0, payloadLength - TRANSPORT_LENGTH);
  const quoted = Math.min(length, quotedPayload(net, words));
  bytes.copyWithin(
    at + TRANSPORT_LENGTH,
    payloadAt + TRANSPORT_LENGTH,
    payloadAt + TRANSPORT_LENGTH + quoted,
  );
  const id = oursPort(flows.sides, words);
  view.setUint16(at + 2, 0);
  if (isIpv4(flows.sides, words)) writeIcmp4Echo(view, at, Icmp4Type.EchoRequest, id, sequence);
  else writeIcmp6Echo(view, at, Icmp6Type.EchoRequest, id, sequence);
  relay(net, output, flow, length);
}

/** The same as `sendUdpError` for an echo request, whole at `[at, at + length)`. */
export function sendPingError(
  net: Net,
  output: Output,
  flow: FlowIndex,
  errno: number,
  mtu: number,
  messageAt: number,
  messageLength: number,
): void {
  const words = tapWords(net.flows, flow);
  const at = quoteAt(net, output, words);
  const length = messageLength - TRANSPORT_LENGTH;
  const quoted = TRANSPORT_LENGTH + Math.min(length, quotedPayload(net, words));
  net.host.arena.bytes.copyWithin(at, messageAt, messageAt + quoted);
  refuse(net, output, flow, errno, mtu, length);
}

/** Writes the quoted UDP header and as much of the payload as belongs behind it. */
function quoteUdp(net: Net, output: Output, flow: FlowIndex, payloadAt: number, payloadLength: number): void {
  const { sides } = net.flows;
  const { view, bytes } = net.host.arena;
  const words = tapWords(net.flows, flow);
  const at = quoteAt(net, output, words);
  const quoted = Math.min(payloadLength, quotedPayload(net, words));
  bytes.copyWithin(at + UDP_LENGTH, payloadAt, payloadAt + quoted);
  writeUdp(view, at, endpointPort(sides, words), oursPort(sides, words), UDP_LENGTH + payloadLength);
}

/** Sends the error in `host.error` around the quoted transport header; `length` is that of the payload. */
function relay(net: Net, output: Output, flow: FlowIndex, length: number): void {
  const { error } = net.host;
  const words = tapWords(net.flows, flow);
  const v4 = isIpv4(net.flows.sides, words);
  // A local error has no ICMP type, and one of the other family (a resolver's) has a type of that family.
  if (error.origin !== (v4 ? ErrorOrigin.Icmp : ErrorOrigin.Icmp6)) {
    return refuse(net, output, flow, error.errno, error.info, length);
  }
  const source = offender(net, flow, words) ?? sideOurs(net, words);
  send(net, output, words, source, error.type, error.code, error.info, length);
}

/** Sends an error of our own around the quoted transport header. */
function refuse(net: Net, output: Output, flow: FlowIndex, errno: number, mtu: number, length: number): void {
  const words = tapWords(net.flows, flow);
  const source = sideOurs(net, words);
  if (!isIpv4(net.flows.sides, words)) {
    const type = errno === Errno.EMSGSIZE ? Icmp6Type.PacketTooBig : Icmp6Type.Unreachable;
    const info = errno === Errno.EMSGSIZE ? Math.max(mtu, IPV6_LEAST_MTU) : 0;
    return send(net, output, words, source, type, unreachable6(errno), info, length);
  }
  send(net, output, words, source, Icmp4Type.Unreachable, unreachable4(errno), mtu, length);
}

function unreachable4(errno: number): number {
  switch (errno) {
    case Errno.ENETUNREACH:
      return Icmp4Unreachable.Net;
    case Errno.ENOPROTOOPT:
      return Icmp4Unreachable.Protocol;
    case Errno.ECONNREFUSED:
      return Icmp4Unreachable.Port;
    case Errno.EMSGSIZE:
      return Icmp4Unreachable.FragmentationNeeded;
    case Errno.EACCES:
    case Errno.EPERM:
      return Icmp4Unreachable.Prohibited;
    default:
      return Icmp4Unreachable.Host;
  }
}

function unreachable6(errno: number): number {
  switch (errno) {
    case Errno.EMSGSIZE:
      return 0;
    case Errno.ENETUNREACH:
      return Icmp6Unreachable.NoRoute;
    case Errno.ECONNREFUSED:
      return Icmp6Unreachable.Port;
    case Errno.EACCES:
    case Errno.EPERM:
      return Icmp6Unreachable.Prohibited;
    default:
      return Icmp6Unreachable.Address;
  }
}

/**
 * What the container knows the offender of `host.error` as; undefined when that is the flow's own address, or
 * nothing the container could have heard from.
 */
function offender(net: Net, flow: FlowIndex, words: number): Address | undefined {
  const { flows, host, rules } = net;
  const address = host.error.offender;
  const v4 = isIpv4(flows.sides, words);
  if (isUnspecified(address) || isIpv4(address) !== v4) return undefined;
  if (sameIp(address, 0, flows.sides, hostWords(flows, flow) + SideWord.Endpoint)) return undefined;
  const inside = insideAddress(rules, address, 0);
  if (inside !== undefined) return inside;
  if (isLoopback(address, 0)) return undefined;
  const family = familyRules(rules, !v4);
  // The host has the container's address too; what comes from there would be refused inside.
  return isAccessible(family, address, 0) ? address : family.ours;
}

const scratch: Address = new Uint32Array(4);
function sideOurs(net: Net, words: number): Address {
  for (let i = 0; i < 4; i++) scratch[i] = net.flows.sides[words + SideWord.Ours + i];
  return scratch;
}

const quotedPayload = (net: Net, words: number): number =>
  isIpv4(net.flows.sides, words) ? QUOTED_PAYLOAD_4 : QUOTED_PAYLOAD_6;

/** Where the quoted transport header goes. */
const quoteAt = (net: Net, output: Output, words: number): number =>
  output.payloadAt +
  (isIpv4(net.flows.sides, words) ? ICMP4_LENGTH + IPV4_LENGTH : ICMP6_LENGTH + IPV6_LENGTH);

/** Puts ICMP and IP headers in front of the quoted transport header and sends all of it. */
function send(
  net: Net,
  output: Output,
  words: number,
  source: Address,
  type: number,
  code: number,
  info: number,
  payloadLength: number,
): void {
  const { sides } = net.flows;
  const { view } = net.host.arena;
  // Nobody speaks for a group (RFC 1122 section 3.2.2, RFC 4443 section 2.4).
  if (!isUnicast(sides, words + SideWord.Ours)) return;
  const v4 = isIpv4(sides, words);
  const at = output.payloadAt;
  const from = words + SideWord.Endpoint;
  const to = words + SideWord.Ours;
  const length = TRANSPORT_LENGTH + payloadLength;
  const quoted = TRANSPORT_LENGTH + Math.min(payloadLength, quotedPayload(net, words));
  const protocol = sideProtocol(sides, words);
  view.setUint16(at + 2, 0);
  if (v4) {
    const mtu = type === Icmp4Type.Unreachable && code === Icmp4Unreachable.FragmentationNeeded ? info : 0;
    writeIcmp4Error(view, at, type, code, mtu);
    const ipAt = at + ICMP4_LENGTH;
    writeIpv4(view, ipAt, IPV4_LENGTH + length, protocol, QUOTED_HOPS, sides[from + 3], sides[to + 3]);
  } else {
    writeIcmp6Error(view, at, type, code, info);
    writeIpv6(view, at + ICMP6_LENGTH, length, protocol, QUOTED_HOPS, sides, from, sides, to);
  }
  const headers = v4 ? ICMP4_LENGTH + IPV4_LENGTH : ICMP6_LENGTH + IPV6_LENGTH;
  pair.set(source, 0);
  for (let i = 0; i < 4; i++) pair[4 + i] = sides[from + i];
  output.icmpFrom(pair, 0, 4, !v4, headers + quoted);
  net.counters.add(Count.icmpErrorsSent);
}

/** Source and destination of the message being sent. */
const pair = new Uint32Array(8);
