/**
 * Frames as text for logs and for failing tests: one line in the manner of tcpdump, with TCP written as in
 * packetdrill scripts. Takes any bytes and never throws. Cold path.
 */
import { formatIp, formatMac, ipv4Words } from "../base/address.ts";
import {
  ARP_LENGTH,
  ARP_SENDER_MAC,
  ArpOperation,
  arpOperation,
  arpSenderIp,
  arpTargetIp,
  isArpValid,
} from "./arp.ts";
import { describeDhcp } from "./describe-dhcp.ts";
import { describeNdp } from "./describe-ndp.ts";
import {
  ETHERNET_DESTINATION,
  ETHERNET_LENGTH,
  ETHERNET_SOURCE,
  EtherType,
  etherType,
  isEthernetValid,
} from "./ethernet.ts";
import {
  icmp4Code,
  icmp4Id,
  icmp4Mtu,
  icmp4Sequence,
  Icmp4Type,
  icmp4Type,
  Icmp4Unreachable,
  isIcmp4Valid,
} from "./icmp4.ts";
import { icmp6Code, icmp6Id, icmp6Mtu, icmp6Sequence, Icmp6Type, icmp6Type, isIcmp6Valid } from "./icmp6.ts";
import {
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  IpProtocol,
  isIpv4Valid,
} from "./ipv4.ts";
import {
  ipv6FragmentId,
  ipv6FragmentOffset,
  ipv6MoreFragments,
  walked,
  walkExtensions,
} from "./ipv6-extensions.ts";
import {
  IPV6_DESTINATION,
  IPV6_LENGTH,
  IPV6_SOURCE,
  ipv6NextHeader,
  ipv6PayloadLength,
  ipv6Words,
  isIpv6Valid,
} from "./ipv6.ts";
import { seqAdd } from "./sequence.ts";
import { TcpOption } from "./tcp-options.ts";
import {
  isTcpValid,
  TCP_LENGTH,
  tcpAcknowledgment,
  tcpDestinationPort,
  TcpFlag,
  tcpFlags,
  tcpHeaderLength,
  tcpSequence,
  tcpSourcePort,
  tcpWindow,
} from "./tcp.ts";
import { isUdpValid, UDP_LENGTH, udpDestinationPort, udpLength, udpSourcePort } from "./udp.ts";

/** Describes the Ethernet frame `[at, end)`. */
export function describeFrame(view: DataView, at: number, end: number): string {
  if (!isEthernetValid(view, at, end)) return `short frame, length ${end - at}`;
  const payload = at + ETHERNET_LENGTH;
  const type = etherType(view, at);
  switch (type) {
    case EtherType.Arp:
      return describeArp(view, payload, end);
    case EtherType.Ipv4:
      return describeIpv4(view, payload, end);
    case EtherType.Ipv6:
      return describeIpv6(view, payload, end);
    default:
      return (
        `${macText(view, at + ETHERNET_SOURCE)} > ${macText(view, at + ETHERNET_DESTINATION)}: ` +
        `ethertype 0x${type.toString(16).padStart(4, "0")}, length ${end - at}`
      );
  }
}

function describeArp(view: DataView, at: number, end: number): string {
  if (!isArpValid(view, at, end)) return `malformed ARP, length ${end - at}`;
  const sender = ipv4Text(arpSenderIp(view, at));
  const target = ipv4Text(arpTargetIp(view, at));
  const operation = arpOperation(view, at);
  if (operation === ArpOperation.Request) return `ARP who-has ${target} tell ${sender}`;
  if (operation === ArpOperation.Reply) return `ARP ${sender} is-at ${macText(view, at + ARP_SENDER_MAC)}`;
  return `ARP operation ${operation}, length ${ARP_LENGTH}`;
}

function describeIpv4(view: DataView, at: number, end: number): string {
  if (!isIpv4Valid(view, at, end)) return `malformed IPv4, length ${end - at}`;
  const source = ipv4Text(ipv4Source(view, at));
  const destination = ipv4Text(ipv4Destination(view, at));
  const upper = at + ipv4HeaderLength(view, at);
  const upperEnd = at + ipv4TotalLength(view, at);
  const protocol = ipv4Protocol(view, at);
  const offset = ipv4FragmentOffset(view, at);
  if (offset === 0 && !ipv4MoreFragments(view, at)) {
    return describeUpper(view, upper, upperEnd, protocol, source, destination);
  }
  const more = ipv4MoreFragments(view, at) ? "+" : "";
  return `${source} > ${destination}: fragment ${ipv4Id(view, at)} of protocol ${protocol}, ${offset}:${offset + upperEnd - upper}${more}`;
}

function describeIpv6(view: DataView, at: number, end: number): string {
  if (!isIpv6Valid(view, at, end)) return `malformed IPv6, length ${end - at}`;
  const source = formatIp(ipv6Words(view, at + IPV6_SOURCE));
  const destination = formatIp(ipv6Words(view, at + IPV6_DESTINATION));
  const upperEnd = at + IPV6_LENGTH + ipv6PayloadLength(view, at);
  const upper = walkExtensions(view, at + IPV6_LENGTH, ipv6NextHeader(view, at), upperEnd);
  if (upper === -1) return `${source} > ${destination}: malformed extension headers`;
  const { protocol, fragmentAt } = walked;
  if (fragmentAt === -1) return describeUpper(view, upper, upperEnd, protocol, source, destination);
  const offset = ipv6FragmentOffset(view, fragmentAt);
  const more = ipv6MoreFragments(view, fragmentAt) ? "+" : "";
  return `${source} > ${destination}: fragment ${ipv6FragmentId(view, fragmentAt)} of protocol ${protocol}, ${offset}:${offset + upperEnd - upper}${more}`;
}

function describeUpper(
  view: DataView,
  at: number,
  end: number,
  protocol: number,
  source: string,
  destination: string,
): string {
  const addresses = `${source} > ${destination}`;
  switch (protocol) {
    case IpProtocol.Tcp:
      if (!isTcpValid(view, at, end)) return `${addresses}: malformed TCP, length ${end - at}`;
      return (
        `${endpoint(source, tcpSourcePort(view, at))} > ${endpoint(destination, tcpDestinationPort(view, at))}: ` +
        describeTcp(view, at, end)
      );
    case IpProtocol.Udp:
      if (!isUdpValid(view, at, end)) return `${addresses}: malformed UDP, length ${end - at}`;
      return (
        `${endpoint(source, udpSourcePort(view, at))} > ${endpoint(destination, udpDestinationPort(view, at))}: ` +
        describeUdp(view, at)
      );
    case IpProtocol.Icmp:
      return `${addresses}: ${describeIcmp4(view, at, end)}`;
    case IpProtocol.Icmp6:
      return `${addresses}: ${describeIcmp6(view, at, end)}`;
    default:
      return `${addresses}: protocol ${protocol}, length ${end - at}`;
  }
}

/** Describes the UDP datagram at `at`, which must be valid: what is known of its payload. */
function describeUdp(view: DataView, at: number): string {
  const [payload, end] = [at + UDP_LENGTH, at + udpLength(view, at)];
  const dhcp = describeDhcp(view, payload, end, udpSourcePort(view, at), udpDestinationPort(view, at));
  return dhcp ?? `UDP, length ${end - payload}`;
}

/** In the order in which packetdrill writes them. */
const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [TcpFlag.Fin, "F"],
  [TcpFlag.Syn, "S"],
  [TcpFlag.Rst, "R"],
  [TcpFlag.Psh, "P"],
  [TcpFlag.Ack, "."],
  [TcpFlag.Urg, "U"],
  [TcpFlag.Ece, "E"],
  [TcpFlag.Cwr, "W"],
];

/** Describes the TCP segment `[at, end)`, which must be valid: flags, sequence, window, options. */
function describeTcp(view: DataView, at: number, end: number): string {
  const flags = tcpFlags(view, at);
  const letters = FLAG_LETTERS.filter(([flag]) => (flags & flag) !== 0).map(([, letter]) => letter);
  const length = end - at - tcpHeaderLength(view, at);
  const sequence = tcpSequence(view, at);
  const ack = (flags & TcpFlag.Ack) !== 0 ? ` ack ${tcpAcknowledgment(view, at)}` : "";
  const options = describeTcpOptions(view, at);
  return (
    `${letters.join("") || "-"} ${sequence}:${seqAdd(sequence, length)}(${length})${ack}` +
    ` win ${tcpWindow(view, at)}${options === "" ? "" : ` <${options}>`}`
  );
}

function describeTcpOptions(view: DataView, at: number): string {
  const end = at + tcpHeaderLength(view, at);
  const options: string[] = [];
  let option = at + TCP_LENGTH;
  while (option < end) {
    const kind = view.getUint8(option);
    if (kind === TcpOption.End) {
      options.push("eol");
      break;
    }
    if (kind === TcpOption.Nop) {
      options.push("nop");
      option++;
      continue;
    }
    const length = option + 1 < end ? view.getUint8(option + 1) : 0;
    if (length < 2 || option + length > end) {
      options.push("malformed");
      break;
    }
    options.push(describeTcpOption(view, option, kind, length));
    option += length;
  }
  return options.join(",");
}

function describeTcpOption(view: DataView, at: number, kind: number, length: number): string {
  if (kind === TcpOption.Mss && length === 4) return `mss ${view.getUint16(at + 2)}`;
  if (kind === TcpOption.WindowScale && length === 3) return `wscale ${view.getUint8(at + 2)}`;
  if (kind === TcpOption.SackPermitted && length === 2) return "sackOK";
  if (kind === TcpOption.Timestamps && length === 10) {
    return `TS val ${view.getUint32(at + 2)} ecr ${view.getUint32(at + 6)}`;
  }
  if (kind === TcpOption.Sack && length % 8 === 2) {
    const blocks = Array.from(
      { length: (length - 2) / 8 },
      (_, i) => `${view.getUint32(at + 2 + 8 * i)}:${view.getUint32(at + 6 + 8 * i)}`,
    );
    return ["sack", ...blocks].join(" ");
  }
  return `option ${kind} of ${length}`;
}

const UNREACHABLE_NAMES: ReadonlyMap<number, string> = new Map([
  [Icmp4Unreachable.Net, "net"],
  [Icmp4Unreachable.Host, "host"],
  [Icmp4Unreachable.Protocol, "protocol"],
  [Icmp4Unreachable.Port, "port"],
]);

function describeIcmp4(view: DataView, at: number, end: number): string {
  if (!isIcmp4Valid(view, at, end)) return `malformed ICMP, length ${end - at}`;
  const code = icmp4Code(view, at);
  const echo = `id ${icmp4Id(view, at)}, seq ${icmp4Sequence(view, at)}, length ${end - at}`;
  const type = icmp4Type(view, at);
  switch (type) {
    case Icmp4Type.EchoRequest:
      return `ICMP echo request, ${echo}`;
    case Icmp4Type.EchoReply:
      return `ICMP echo reply, ${echo}`;
    case Icmp4Type.Unreachable:
      if (code === Icmp4Unreachable.FragmentationNeeded) {
        return `ICMP unreachable, fragmentation needed, mtu ${icmp4Mtu(view, at)}`;
      }
      return `ICMP ${UNREACHABLE_NAMES.get(code) ?? `code ${code}`} unreachable`;
    case Icmp4Type.TimeExceeded:
      return `ICMP time exceeded, code ${code}`;
    default:
      return `ICMP type ${type} code ${code}, length ${end - at}`;
  }
}

function describeIcmp6(view: DataView, at: number, end: number): string {
  if (!isIcmp6Valid(view, at, end)) return `malformed ICMPv6, length ${end - at}`;
  const code = icmp6Code(view, at);
  const echo = `id ${icmp6Id(view, at)}, seq ${icmp6Sequence(view, at)}, length ${end - at}`;
  const type = icmp6Type(view, at);
  switch (type) {
    case Icmp6Type.EchoRequest:
      return `ICMPv6 echo request, ${echo}`;
    case Icmp6Type.EchoReply:
      return `ICMPv6 echo reply, ${echo}`;
    case Icmp6Type.Unreachable:
      return `ICMPv6 unreachable, code ${code}`;
    case Icmp6Type.PacketTooBig:
      return `ICMPv6 packet too big, mtu ${icmp6Mtu(view, at)}`;
    case Icmp6Type.TimeExceeded:
      return `ICMPv6 time exceeded, code ${code}`;
    default:
      return describeNdp(view, at, end) ?? `ICMPv6 type ${type} code ${code}, length ${end - at}`;
  }
}

const ipv4Text = (value: number): string => formatIp(ipv4Words(value));
const macText = (view: DataView, at: number): string =>
  formatMac(Uint8Array.from({ length: 6 }, (_, i) => view.getUint8(at + i)));
/** An address with a port; IPv6 in brackets. */
const endpoint = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
