/** Frames as the container sends them: virtio_net_hdr, Ethernet, IP. Everything is where a test can spoil it. */
import { VNET_LENGTH } from "../../src/wire/vnet.ts";
import { writeEthernet, ETHERNET_LENGTH, EtherType } from "../../src/wire/ethernet.ts";
import { IPV4_LENGTH, IpProtocol, writeIpv4 } from "../../src/wire/ipv4.ts";
import { IPV6_LENGTH, writeIpv6 } from "../../src/wire/ipv6.ts";
import { UDP_LENGTH, writeUdp } from "../../src/wire/udp.ts";
import { GUEST_4, GUEST_6, ip } from "./fake-net.ts";

const HEADERS = VNET_LENGTH + ETHERNET_LENGTH;
const GUEST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x10);
const OUR_MAC = Uint8Array.of(0x9a, 0x55, 0x9a, 0x55, 0x9a, 0x55);

export interface PacketOptions {
  from?: string;
  hopLimit?: number;
  /** IPv4: "don't fragment", on unless said otherwise. */
  dontFragment?: boolean;
  /** A train: gso_type and gso_size of the virtio_net_hdr. */
  gso?: { type: number; size: number };
  /** A fragment: where the payload belongs, whether more follow, and of which packet. */
  fragment?: { offset: number; more: boolean; id: number };
}

/** Bytes 0, 1, 2... so that any piece tells where it is from. */
export const pattern = (length: number, first = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 255);

/** An Ethernet frame with this EtherType and payload. */
export function ethernetFrame(type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADERS + payload.length);
  writeEthernet(new DataView(frame.buffer), VNET_LENGTH, OUR_MAC, GUEST_MAC, type);
  frame.set(payload, HEADERS);
  return frame;
}

/** An IP packet, of the family of `to`, with this protocol and payload. */
export function ipFrame(
  to: string,
  protocol: number,
  payload: Uint8Array,
  options: PacketOptions = {},
): Uint8Array {
  const v6 = to.includes(":");
  const frame = v6 ? ip6Frame(to, protocol, payload, options) : ip4Frame(to, protocol, payload, options);
  const view = new DataView(frame.buffer);
  view.setUint8(1, options.gso?.type ?? 0);
  view.setUint16(4, options.gso?.size ?? 0, true);
  return frame;
}

function ip4Frame(to: string, protocol: number, payload: Uint8Array, options: PacketOptions): Uint8Array {
  const packet = new Uint8Array(IPV4_LENGTH + payload.length);
  const view = new DataView(packet.buffer);
  const source = ip(options.from ?? GUEST_4)[3];
  writeIpv4(view, 0, packet.length, protocol, options.hopLimit ?? 64, source, ip(to)[3]);
  const { fragment } = options;
  if (fragment !== undefined) {
    view.setUint16(4, fragment.id);
    view.setUint16(6, (fragment.more ? 0x2000 : 0) | (fragment.offset >> 3));
  } else if (options.dontFragment === false) view.setUint16(6, 0);
  packet.set(payload, IPV4_LENGTH);
  return ethernetFrame(EtherType.Ipv4, packet);
}

function ip6Frame(to: string, protocol: number, payload: Uint8Array, options: PacketOptions): Uint8Array {
  const { fragment } = options;
  const extension = fragment === undefined ? 0 : 8;
  const packet = new Uint8Array(IPV6_LENGTH + extension + payload.length);
  const view = new DataView(packet.buffer);
  const next = fragment === undefined ? protocol : 44;
  const source = ip(options.from ?? GUEST_6);
  writeIpv6(view, 0, extension + payload.length, next, options.hopLimit ?? 64, source, 0, ip(to), 0);
  if (fragment !== undefined) {
    view.setUint8(IPV6_LENGTH, protocol);
    view.setUint16(IPV6_LENGTH + 2, fragment.offset | (fragment.more ? 1 : 0));
    view.setUint32(IPV6_LENGTH + 4, fragment.id);
  }
  packet.set(payload, IPV6_LENGTH + extension);
  return ethernetFrame(EtherType.Ipv6, packet);
}

/** A UDP datagram: header and payload. */
export function udpDatagram(sourcePort: number, destinationPort: number, payload: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(UDP_LENGTH + payload.length);
  writeUdp(new DataView(datagram.buffer), 0, sourcePort, destinationPort, datagram.length);
  datagram.set(payload, UDP_LENGTH);
  return datagram;
}

/** A UDP datagram to "address" and port in a frame of its own. */
export const udpFrame = (
  to: string,
  port: number,
  payload: Uint8Array,
  options: PacketOptions & { sourcePort?: number } = {},
): Uint8Array => ipFrame(to, IpProtocol.Udp, udpDatagram(options.sourcePort ?? 5000, port, payload), options);

/** An echo request of the family of `to` in a frame of its own. */
export function echoFrame(
  to: string,
  id: number,
  sequence: number,
  data: Uint8Array,
  options: PacketOptions = {},
): Uint8Array {
  const v6 = to.includes(":");
  const message = new Uint8Array(8 + data.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, v6 ? 128 : 8);
  view.setUint16(4, id);
  view.setUint16(6, sequence);
  message.set(data, 8);
  return ipFrame(to, v6 ? IpProtocol.Icmp6 : IpProtocol.Icmp, message, options);
}
