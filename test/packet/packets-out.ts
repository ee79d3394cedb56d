/** Frames to the container: whether they are well-formed, and what they say. */
import { formatIp, formatMac, ipFromBytes } from "../../src/base/address.ts";
import type { Link } from "../../src/proto/link.ts";
import { checksum, fold, pseudo4, pseudo6, sumBytes } from "../../src/wire/checksum.ts";
import { describeFrame } from "../../src/wire/describe.ts";
import { ETHERNET_LENGTH, EtherType, etherType, MINIMUM_FRAME } from "../../src/wire/ethernet.ts";
import * as ipv4 from "../../src/wire/ipv4.ts";
import * as ipv6 from "../../src/wire/ipv6.ts";
import * as tcp from "../../src/wire/tcp.ts";
import type { FakeNeighbourhood } from "../support/fake-neighbourhood.ts";
import { UDP_LENGTH } from "../../src/wire/udp.ts";
import * as vnet from "../../src/wire/vnet.ts";

const IP_AT = vnet.VNET_LENGTH + ETHERNET_LENGTH;
const { IpProtocol } = ipv4;

/** A TCP segment or UDP datagram out of the TAP; numbers as on the wire. */
export interface Transport {
  kind: "tcp" | "udp";
  flags: number;
  sequence: number;
  ack: number;
  window: number;
  /** As `describeFrame` writes them, without padding. */
  options: string;
  payload: Uint8Array;
  gso: number;
  /** Payload bytes of the largest packet that the kernel makes of the frame. */
  largest: number;
}

export interface OutFrame {
  /** What the frame is, on one line. */
  text: string;
  transport: Transport | undefined;
  /** Everything behind the IP header. */
  message: Uint8Array;
}

/** Reads a frame with its virtio_net_hdr; throws an Error that says what is wrong with it. */
export function readFrame(frame: Uint8Array, link: Link, host: FakeNeighbourhood): OutFrame {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const text = describe(view, frame, link);
  const require = (condition: boolean, what: string): void => {
    if (!condition) throw new Error(`${what}: ${text}`);
  };
  require(frame.length >= vnet.VNET_LENGTH + MINIMUM_FRAME, "frame shorter than Ethernet allows");
  require(vnet.isVnetValid(view, 0, frame.length), "virtio_net_hdr is not valid");
  const source = formatMac(frame.subarray(vnet.VNET_LENGTH + 6, vnet.VNET_LENGTH + 12));
  const type = etherType(view, vnet.VNET_LENGTH);
  const wanted = host.stationOf(formatIp(sourceAddress(frame, type))) ?? formatMac(link.ourMac);
  require(source === wanted, `source MAC address is ${source}, not ${wanted}`);
  if (type === EtherType.Arp) return { text, transport: undefined, message: frame.slice(IP_AT) };
  const v6 = type === EtherType.Ipv6;
  require(v6 || type === EtherType.Ipv4, "neither ARP nor IP");
  const valid = v6
    ? ipv6.isIpv6Valid(view, IP_AT, frame.length)
    : ipv4.isIpv4Valid(view, IP_AT, frame.length);
  require(valid, "IP header is not valid");
  require(v6 || checksum(sumBytes(view, IP_AT, ipv4.IPV4_LENGTH)) === 0, "IPv4 header checksum is wrong");
  const at = IP_AT + (v6 ? ipv6.IPV6_LENGTH : ipv4.IPV4_LENGTH);
  const end = v6 ? at + ipv6.ipv6PayloadLength(view, IP_AT) : IP_AT + ipv4.ipv4TotalLength(view, IP_AT);
  require(end === frame.length ||
    frame.length === vnet.VNET_LENGTH + MINIMUM_FRAME, "bytes behind the packet");
  const protocol = v6 ? ipv6.ipv6NextHeader(view, IP_AT) : ipv4.ipv4Protocol(view, IP_AT);
  const problem = checksumProblem(view, at, end, v6, protocol, link);
  require(problem === "", problem);
  const transport = readTransport(view, at, end, v6, protocol, text);
  const packet = transport === undefined ? end - IP_AT : transport.largest + headersOf(view, at, protocol);
  require(packet <= link.mtu, "packet larger than the MTU");
  return { text, transport, message: frame.slice(at, end) };
}

/** The sender in an ARP packet, or the source in an IP header. */
function sourceAddress(frame: Uint8Array, type: number): Uint32Array {
  if (type === EtherType.Ipv6) return ipFromBytes(frame.subarray(IP_AT + 8, IP_AT + 24));
  const at = IP_AT + (type === EtherType.Arp ? 14 : 12);
  return ipFromBytes(frame.subarray(at, at + 4));
}

/** The frame as text, with what `describeFrame` leaves out: an unusual destination, and what an error quotes. */
function describe(view: DataView, frame: Uint8Array, link: Link): string {
  let text = describeFrame(view, vnet.VNET_LENGTH, frame.length);
  const quoteAt = quotedPacketAt(view, frame.length);
  if (quoteAt > 0) text += ` quoting ${describeQuote(frame, quoteAt)}`;
  const destination = formatMac(frame.subarray(vnet.VNET_LENGTH, vnet.VNET_LENGTH + 6));
  return destination === formatMac(link.guestMac) ? text : `to ${destination}: ${text}`;
}

/** Where an ICMP error has the packet it is about, or -1. */
function quotedPacketAt(view: DataView, end: number): number {
  const type = etherType(view, vnet.VNET_LENGTH);
  if (type === EtherType.Ipv4 && ipv4.ipv4Protocol(view, IP_AT) === IpProtocol.Icmp) {
    const at = IP_AT + ipv4.IPV4_LENGTH;
    return at + 28 <= end && [3, 11, 12].includes(view.getUint8(at)) ? at + 8 : -1;
  }
  if (type === EtherType.Ipv6 && ipv6.ipv6NextHeader(view, IP_AT) === IpProtocol.Icmp6) {
    const at = IP_AT + ipv6.IPV6_LENGTH;
    return at + 48 <= end && view.getUint8(at) < 128 ? at + 8 : -1;
  }
  return -1;
}

/** Describes a quoted packet, of which only the beginning is there, and tells how many bytes of it are. */
function describeQuote(frame: Uint8Array, at: number): string {
  const v6 = frame[at] >>> 4 === 6;
  const whole = new Uint8Array(ETHERNET_LENGTH + 65_535);
  const view = new DataView(whole.buffer);
  view.setUint16(12, v6 ? EtherType.Ipv6 : EtherType.Ipv4);
  whole.set(frame.subarray(at), ETHERNET_LENGTH);
  const protocol = v6 ? ipv6.ipv6NextHeader(view, ETHERNET_LENGTH) : ipv4.ipv4Protocol(view, ETHERNET_LENGTH);
  // An error about TCP quotes ports and sequence number only; describing needs a header length.
  const upperAt = ETHERNET_LENGTH + (v6 ? ipv6.IPV6_LENGTH : ipv4.IPV4_LENGTH);
  if (protocol === IpProtocol.Tcp) {
    const [from, to] = [view.getUint16(upperAt), view.getUint16(upperAt + 2)];
    return `TCP port ${from} to ${to}`;
  }
  const present = frame.length - at - (upperAt - ETHERNET_LENGTH) - 8;
  return `${describeFrame(view, 0, whole.length)}, ${present} there`;
}

function checksumProblem(
  view: DataView,
  at: number,
  end: number,
  v6: boolean,
  protocol: number,
  link: Link,
): string {
  const length = end - at;
  let pseudo = 0;
  if (v6) {
    pseudo = pseudo6(view, IP_AT + ipv6.IPV6_SOURCE, IP_AT + ipv6.IPV6_DESTINATION, protocol, length);
  } else if (protocol !== IpProtocol.Icmp) {
    pseudo = pseudo4(ipv4.ipv4Source(view, IP_AT), ipv4.ipv4Destination(view, IP_AT), protocol, length);
  }
  const isTransport = protocol === IpProtocol.Tcp || protocol === IpProtocol.Udp;
  const partial = (vnet.vnetFlags(view, 0) & vnet.VNET_NEEDS_CSUM) !== 0;
  if (partial !== (isTransport && link.offload))
    return "checksum is left to the kernel where it should not be";
  if (!partial) {
    if (checksum(sumBytes(view, at, length, pseudo)) !== 0) return "checksum is wrong";
    const zero = protocol === IpProtocol.Udp && view.getUint16(at + 6) === 0;
    return zero ? "UDP checksum is missing" : "";
  }
  const offset = protocol === IpProtocol.Tcp ? tcp.TCP_CHECKSUM : 6;
  if (vnet.vnetChecksumStart(view, 0) !== at - vnet.VNET_LENGTH) return "csum_start is wrong";
  if (vnet.vnetChecksumOffset(view, 0) !== offset) return "csum_offset is wrong";
  return view.getUint16(at + offset) === fold(pseudo) ? "" : "sum of the pseudo-header is wrong";
}

function readTransport(
  view: DataView,
  at: number,
  end: number,
  v6: boolean,
  protocol: number,
  text: string,
): Transport | undefined {
  const type = vnet.vnetGsoType(view, 0);
  const gso = type === vnet.VnetGso.None ? 0 : vnet.vnetGsoSize(view, 0);
  const isTcp = protocol === IpProtocol.Tcp;
  if (!isTcp && protocol !== IpProtocol.Udp) return undefined;
  const header = isTcp ? tcp.tcpHeaderLength(view, at) : UDP_LENGTH;
  const wanted = isTcp ? (v6 ? vnet.VnetGso.Tcp6 : vnet.VnetGso.Tcp4) : vnet.VnetGso.UdpL4;
  if (gso > 0 && type !== wanted) throw new Error(`gso_type ${type} is wrong: ${text}`);
  if (gso > 0 && vnet.vnetHeaderLength(view, 0) !== at + header - vnet.VNET_LENGTH) {
    throw new Error(`hdr_len is wrong: ${text}`);
  }
  const payload = new Uint8Array(view.buffer, view.byteOffset + at + header, end - at - header).slice();
  if (gso >= payload.length && gso > 0) throw new Error(`gso_size cuts nothing: ${text}`);
  return {
    kind: isTcp ? "tcp" : "udp",
    flags: isTcp ? tcp.tcpFlags(view, at) : 0,
    sequence: isTcp ? tcp.tcpSequence(view, at) : 0,
    ack: isTcp ? tcp.tcpAcknowledgment(view, at) : 0,
    window: isTcp ? tcp.tcpWindow(view, at) : 0,
    options: /<(.*)>$/.exec(text)?.[1] ?? "",
    payload,
    gso,
    largest: gso > 0 ? gso : payload.length,
  };
}

/** Bytes of IP and transport headers. */
const headersOf = (view: DataView, at: number, protocol: number): number =>
  at - IP_AT + (protocol === IpProtocol.Tcp ? tcp.tcpHeaderLength(view, at) : UDP_LENGTH);
