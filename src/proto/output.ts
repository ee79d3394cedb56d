/**
 * Frames to the container. Every protocol puts its payload at `payloadAt`, and this file writes the headers in
 * front of it: transport, IP, Ethernet, virtio_net_hdr. Checksums and segmentation are left to the kernel unless
 * the link has no offload.
 */
import { Count } from "../base/counters.ts";
import { isMapped, SideWord, sideProtocol } from "../flow/table.ts";
import { checksum, fold, pseudo4, pseudo6, sumBytes } from "../wire/checksum.ts";
import { describeFrame } from "../wire/describe.ts";
import { ETHERNET_LENGTH, EtherType, MINIMUM_FRAME, writeEthernet } from "../wire/ethernet.ts";
import { IPV4_LENGTH, IpProtocol, writeIpv4 } from "../wire/ipv4.ts";
import { IPV6_DESTINATION, IPV6_LENGTH, IPV6_SOURCE, writeIpv6 } from "../wire/ipv6.ts";
import { setTcpChecksum, TCP_CHECKSUM, TCP_LENGTH, writeTcp } from "../wire/tcp.ts";
import { setUdpChecksum, UDP_CHECKSUM, UDP_LENGTH, writeUdp } from "../wire/udp.ts";
import { VNET_LENGTH, VNET_NEEDS_CSUM, VnetGso, writeVnet } from "../wire/vnet.ts";
import { Neighbours } from "./neighbours.ts";
import type { Net } from "./net.ts";
import { OUT_HEADROOM } from "./net.ts";

/** Hop limit of what we send ourselves. */
export const HOP_LIMIT = 255;

export class Output {
  readonly #net: Net;
  readonly #view: DataView;
  /** Where a payload goes before `tcp`, `udp` or `icmp` sends it. */
  readonly payloadAt: number;
  /** Whose MAC addresses the frames have. */
  readonly neighbours: Neighbours;

  constructor(net: Net) {
    this.#net = net;
    this.neighbours = new Neighbours(net);
    this.#view = net.host.arena.view;
    this.payloadAt = net.plan.sendAt + OUT_HEADROOM;
  }

  /**
   * Sends a TCP segment on the TAP side at `words`, with `optionsLength` bytes of options and `length` bytes of
   * payload at `payloadAt`; the options stand before the payload. More than `mss` bytes go as one frame that the
   * kernel cuts. Returns bytes written or -errno.
   */
  tcp(
    words: number,
    sequence: number,
    acknowledgment: number,
    flags: number,
    window: number,
    optionsLength: number,
    length: number,
    mss: number,
  ): number {
    const { link, flows } = this.#net;
    const sides = flows.sides;
    const header = TCP_LENGTH + optionsLength;
    const at = this.payloadAt - header;
    const ports = sides[words + SideWord.Ports];
    writeTcp(this.#view, at, ports >>> 16, ports & 0xffff, sequence, acknowledgment, header, flags, window);
    const v6 = !isMapped(sides, words + SideWord.Ours);
    const source = this.neighbours.ofSide(words);
    const ipAt = this.#ip(sides, words, v6, at, header + length, link.guestMac, source);
    const sum = this.#pseudo(sides, words, v6, ipAt, header + length);
    if (link.offload) {
      setTcpChecksum(this.#view, at, fold(sum));
      const gso = length > mss ? (v6 ? VnetGso.Tcp6 : VnetGso.Tcp4) : VnetGso.None;
      return this.#sendPartial(ipAt, at, header, TCP_CHECKSUM, gso, mss, length);
    }
    setTcpChecksum(this.#view, at, checksum(sumBytes(this.#view, at, header + length, sum)));
    return this.#sendComplete(ipAt, at + header + length);
  }

  /**
   * Sends `length` bytes at `payloadAt` as a UDP datagram on the TAP side at `words`; with `segment` > 0 as a
   * train of datagrams of that size, which the link must allow (`udpOffload`).
   */
  udp(words: number, length: number, segment: number): number {
    const { flows, link } = this.#net;
    const source = this.neighbours.ofSide(words);
    return this.udpFrom(flows.sides, words, length, segment, link.guestMac, source);
  }

  /** The same on a side that is in no flow, at `words` of `sides`. */
  udpFrom(
    sides: Uint32Array,
    words: number,
    length: number,
    segment: number,
    destinationMac: Uint8Array,
    sourceMac: Uint8Array = this.neighbours.of(sides, words + SideWord.Ours),
  ): number {
    const { link } = this.#net;
    const at = this.payloadAt - UDP_LENGTH;
    const ports = sides[words + SideWord.Ports];
    writeUdp(this.#view, at, ports >>> 16, ports & 0xffff, UDP_LENGTH + length);
    const v6 = !isMapped(sides, words + SideWord.Ours);
    const ipAt = this.#ip(sides, words, v6, at, UDP_LENGTH + length, destinationMac, sourceMac);
    const sum = this.#pseudo(sides, words, v6, ipAt, UDP_LENGTH + length);
    if (link.offload) {
      setUdpChecksum(this.#view, at, fold(sum));
      const gso = segment > 0 && length > segment ? VnetGso.UdpL4 : VnetGso.None;
      return this.#sendPartial(ipAt, at, UDP_LENGTH, UDP_CHECKSUM, gso, segment, length);
    }
    // An all-zero checksum would mean "none" (RFC 768).
    setUdpChecksum(this.#view, at, checksum(sumBytes(this.#view, at, UDP_LENGTH + length, sum)) || 0xffff);
    return this.#sendComplete(ipAt, at + UDP_LENGTH + length);
  }

  /**
   * Sends an ICMP or ICMPv6 message of `length` bytes at `payloadAt` on the TAP side at `words`, its checksum
   * field (bytes 2 and 3) still zero. `hopLimit` is 255 for NDP.
   */
  icmp(words: number, length: number): number {
    const { flows, link } = this.#net;
    const ours = words + SideWord.Ours;
    const endpoint = words + SideWord.Endpoint;
    const source = this.neighbours.ofSide(words);
    return this.icmpFrom(
      flows.sides,
      ours,
      endpoint,
      !isMapped(flows.sides, ours),
      length,
      link.guestMac,
      source,
    );
  }

  /** The same between any two addresses, four words each at `source` and `destination` of `addresses`. */
  icmpFrom(
    addresses: Uint32Array,
    source: number,
    destination: number,
    v6: boolean,
    length: number,
    destinationMac: Uint8Array = this.#net.link.guestMac,
    sourceMac: Uint8Array = this.neighbours.of(addresses, source),
  ): number {
    const at = this.payloadAt;
    const protocol = v6 ? IpProtocol.Icmp6 : IpProtocol.Icmp;
    const ipAt = this.#ipBetween(
      addresses,
      source,
      destination,
      v6,
      at,
      length,
      protocol,
      HOP_LIMIT,
      destinationMac,
      sourceMac,
    );
    const pseudo = v6
      ? pseudo6(this.#view, ipAt + IPV6_SOURCE, ipAt + IPV6_DESTINATION, protocol, length)
      : 0;
    this.#view.setUint16(at + 2, checksum(sumBytes(this.#view, at, length, pseudo)));
    return this.#sendComplete(ipAt, at + length);
  }

  /** Sends an Ethernet payload (ARP) of `length` bytes at `payloadAt`. */
  ethernet(destination: Uint8Array, source: Uint8Array, type: number, length: number): number {
    const at = this.payloadAt;
    writeEthernet(this.#view, at - ETHERNET_LENGTH, destination, source, type);
    return this.#sendComplete(at, at + length);
  }

  /** The same for the protocol and the addresses of a side. */
  #ip(
    sides: Uint32Array,
    words: number,
    v6: boolean,
    at: number,
    length: number,
    destinationMac: Uint8Array,
    sourceMac: Uint8Array,
  ): number {
    return this.#ipBetween(
      sides,
      words + SideWord.Ours,
      words + SideWord.Endpoint,
      v6,
      at,
      length,
      sideProtocol(sides, words),
      HOP_LIMIT,
      destinationMac,
      sourceMac,
    );
  }

  /** Writes the IP and Ethernet headers in front of `at`; returns where the IP header starts. */
  #ipBetween(
    addresses: Uint32Array,
    source: number,
    destination: number,
    v6: boolean,
    at: number,
    length: number,
    protocol: number,
    hopLimit: number,
    destinationMac: Uint8Array,
    sourceMac: Uint8Array,
  ): number {
    const ipAt = at - (v6 ? IPV6_LENGTH : IPV4_LENGTH);
    if (v6) {
      writeIpv6(this.#view, ipAt, length, protocol, hopLimit, addresses, source, addresses, destination);
    } else {
      writeIpv4(
        this.#view,
        ipAt,
        IPV4_LENGTH + length,
        protocol,
        hopLimit,
        addresses[source + 3],
        addresses[destination + 3],
      );
    }
    const type = v6 ? EtherType.Ipv6 : EtherType.Ipv4;
    writeEthernet(this.#view, ipAt - ETHERNET_LENGTH, destinationMac, sourceMac, type);
    return ipAt;
  }

  #pseudo(sides: Uint32Array, words: number, v6: boolean, ipAt: number, length: number): number {
    const protocol = sideProtocol(sides, words);
    return v6
      ? pseudo6(this.#view, ipAt + IPV6_SOURCE, ipAt + IPV6_DESTINATION, protocol, length)
      : pseudo4(sides[words + SideWord.Ours + 3], sides[words + SideWord.Endpoint + 3], protocol, length);
  }

  /** Sends a frame whose transport checksum holds the pseudo header's sum only; the kernel completes it. */
  #sendPartial(
    ipAt: number,
    at: number,
    header: number,
    checksumOffset: number,
    gso: number,
    segment: number,
    length: number,
  ): number {
    const frameAt = ipAt - ETHERNET_LENGTH - VNET_LENGTH;
    const checksumStart = at - ipAt + ETHERNET_LENGTH;
    if (gso === VnetGso.None) {
      writeVnet(this.#view, frameAt, VNET_NEEDS_CSUM, gso, 0, 0, checksumStart, checksumOffset);
    } else {
      const headers = checksumStart + header;
      writeVnet(this.#view, frameAt, VNET_NEEDS_CSUM, gso, headers, segment, checksumStart, checksumOffset);
    }
    return this.#write(frameAt, at + header + length);
  }

  #sendComplete(ipAt: number, end: number): number {
    const frameAt = ipAt - ETHERNET_LENGTH - VNET_LENGTH;
    writeVnet(this.#view, frameAt, 0, VnetGso.None, 0, 0, 0, 0);
    return this.#write(frameAt, end);
  }

  #write(frameAt: number, end: number): number {
    const { host, counters, log } = this.#net;
    if (log.traceOn) log.trace(`> ${describeFrame(this.#view, frameAt + VNET_LENGTH, end)}`);
    const shortest = frameAt + VNET_LENGTH + MINIMUM_FRAME;
    if (end < shortest) {
      host.arena.bytes.fill(0, end, shortest);
      end = shortest;
    }
    const written = host.tapWrite(frameAt, end - frameAt);
    if (written < 0) {
      counters.add(Count.dropTapWrite);
      return written;
    }
    this.#net.ingress?.take(end - frameAt - VNET_LENGTH - ETHERNET_LENGTH);
    counters.add(Count.tapFramesOut);
    counters.add(Count.tapBytesOut, end - frameAt - VNET_LENGTH);
    return written;
  }
}
