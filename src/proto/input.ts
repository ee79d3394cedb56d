/**
 * Frames from the container: checks Ethernet and IP, notes who speaks, and hands the packet to its protocol.
 * Anything that is not right moves one drop counter and goes no further.
 */
import { isLoopback, isUnspecified, sameIp } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { isMapped, MAPPED, packKind, SideWord } from "../flow/table.ts";
import { Pif } from "../flow/state.ts";
import { noteSeen } from "../forward/address-rules.ts";
import { describeFrame } from "../wire/describe.ts";
import { ETHERNET_LENGTH, EtherType, etherType } from "../wire/ethernet.ts";
import {
  ipv4Destination,
  ipv4DontFragment,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  ipv4Ttl,
  isIpv4Valid,
  IpProtocol,
} from "../wire/ipv4.ts";
import { walkExtensions, walked } from "../wire/ipv6-extensions.ts";
import {
  IPV6_DESTINATION,
  IPV6_LENGTH,
  IPV6_SOURCE,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadLength,
  isIpv6Valid,
} from "../wire/ipv6.ts";
import { isVnetValid, VNET_LENGTH, vnetGsoSize, vnetGsoType, VnetGso } from "../wire/vnet.ts";
import type { Net } from "./net.ts";

/** A protocol above IP: `[at, end)` is its header and payload, `net.flows.key` the TAP side without ports. */
export interface Upper {
  input(at: number, end: number): void;
}

/** A protocol that takes some packets only: false for one that is not its own. */
export interface Taker {
  take(at: number, end: number): boolean;
}

/** The handlers of everything the container may send. */
export interface Uppers {
  /** `[at, end)` is the ARP packet. */
  arp: Upper;
  tcp: Upper;
  /** Sees datagrams before UDP does. */
  dhcp: Taker;
  udp: Upper;
  icmp4: Upper;
  icmp6: Upper;
  fragments: Fragments;
}

/** Collects the fragments of a packet. */
export interface Fragments {
  /** `ipAt` is the IP header, `fragmentAt` the IPv6 fragment header or -1. */
  input(ipAt: number, end: number, fragmentAt: number): void;
}

export class Input {
  readonly #net: Net;
  readonly #view: DataView;
  readonly #uppers: Uppers;

  constructor(net: Net, uppers: Uppers) {
    this.#net = net;
    this.#view = net.host.arena.view;
    this.#uppers = uppers;
  }

  /** Handles one frame in `[at, end)` of the arena: a virtio_net_hdr, then Ethernet. */
  frame(at: number, end: number): void {
    const { counters, packet, log } = this.#net;
    counters.add(Count.tapFramesIn);
    counters.add(Count.tapBytesIn, end - at - VNET_LENGTH);
    const etherAt = at + VNET_LENGTH;
    if (log.traceOn) log.trace(`< ${describeFrame(this.#view, etherAt, end)}`);
    if (end - etherAt < ETHERNET_LENGTH) return counters.add(Count.dropShortFrame);
    if (!isVnetValid(this.#view, at, end)) return counters.add(Count.dropVnetHeader);
    packet.segment = vnetGsoType(this.#view, at) === VnetGso.UdpL4 ? vnetGsoSize(this.#view, at) : 0;
    this.#noteMac(etherAt);
    const payloadAt = etherAt + ETHERNET_LENGTH;
    switch (etherType(this.#view, etherAt)) {
      case EtherType.Ipv4:
        return this.ipv4(payloadAt, end);
      case EtherType.Ipv6:
        return this.ipv6(payloadAt, end);
      case EtherType.Arp:
        return this.#uppers.arp.input(payloadAt, end);
      default:
        return counters.add(Count.dropEthertype);
    }
  }

  /** Handles one IPv4 packet; a reassembled one comes back here without fragment flags. */
  ipv4(at: number, end: number): void {
    const { counters, flows, packet, link } = this.#net;
    const view = this.#view;
    if (!link.v4.enabled) return counters.add(Count.dropFamilyOff);
    if (!isIpv4Valid(view, at, end)) return counters.add(Count.dropIpv4Header);
    const packetEnd = at + ipv4TotalLength(view, at);
    if (ipv4MoreFragments(view, at) || ipv4FragmentOffset(view, at) !== 0) {
      return this.#uppers.fragments.input(at, packetEnd, -1);
    }
    const key = flows.key;
    key[0] = key[1] = key[4] = key[5] = 0;
    key[2] = key[6] = MAPPED;
    key[SideWord.Ours + 3] = ipv4Destination(view, at);
    key[SideWord.Endpoint + 3] = ipv4Source(view, at);
    packet.hopLimit = ipv4Ttl(view, at);
    packet.dontFragment = ipv4DontFragment(view, at);
    this.#upper(ipv4Protocol(view, at), at + ipv4HeaderLength(view, at), packetEnd, IpProtocol.Icmp);
  }

  /** Handles one IPv6 packet; `dontFragment` is false for a reassembled one, whose sender accepts fragments. */
  ipv6(at: number, end: number, dontFragment = true): void {
    const { counters, flows, packet, link } = this.#net;
    const view = this.#view;
    if (!link.v6.enabled) return counters.add(Count.dropFamilyOff);
    if (!isIpv6Valid(view, at, end)) return counters.add(Count.dropIpv6Header);
    const packetEnd = at + IPV6_LENGTH + ipv6PayloadLength(view, at);
    let protocol = ipv6NextHeader(view, at);
    let upperAt = at + IPV6_LENGTH;
    if (protocol !== IpProtocol.Tcp && protocol !== IpProtocol.Udp) {
      upperAt = walkExtensions(view, upperAt, protocol, packetEnd);
      if (upperAt < 0) return counters.add(Count.dropIpv6Extension);
      if (walked.fragmentAt >= 0) return this.#uppers.fragments.input(at, packetEnd, walked.fragmentAt);
      protocol = walked.protocol;
    }
    const key = flows.key;
    for (let i = 0; i < 4; i++) {
      key[SideWord.Ours + i] = view.getUint32(at + IPV6_DESTINATION + 4 * i);
      key[SideWord.Endpoint + i] = view.getUint32(at + IPV6_SOURCE + 4 * i);
    }
    // In the table these are IPv4, which may be switched off; on a link they mean nothing.
    if (isMapped(key, SideWord.Ours) || isMapped(key, SideWord.Endpoint)) {
      return counters.add(Count.dropIpAddress);
    }
    packet.hopLimit = ipv6HopLimit(view, at);
    packet.dontFragment = dontFragment;
    this.#upper(protocol, upperAt, packetEnd, IpProtocol.Icmp6);
  }

  /** Hands `[at, end)` to its protocol; `icmp` is the family's control protocol. */
  #upper(protocol: number, at: number, end: number, icmp: number): void {
    const { counters, flows, rules } = this.#net;
    const key = flows.key;
    if (isLoopback(key, SideWord.Ours) || isLoopback(key, SideWord.Endpoint)) {
      return counters.add(Count.dropIpAddress);
    }
    const family = icmp === IpProtocol.Icmp ? rules.v4 : rules.v6;
    if (!sameIp(key, SideWord.Endpoint, family.seen, 0)) noteSeen(family, key, SideWord.Endpoint);
    key[SideWord.Kind] = packKind(protocol, Pif.Tap);
    // Nobody can be answered at the unspecified address; only neighbour discovery and DHCP speak from it.
    if (isUnspecified(key, SideWord.Endpoint)) {
      if (protocol === icmp && icmp === IpProtocol.Icmp6) return this.#uppers.icmp6.input(at, end);
      if (protocol !== IpProtocol.Udp || !this.#uppers.dhcp.take(at, end)) counters.add(Count.dropIpAddress);
      return;
    }
    if (protocol === IpProtocol.Tcp) return this.#uppers.tcp.input(at, end);
    if (protocol === IpProtocol.Udp) {
      if (!this.#uppers.dhcp.take(at, end)) this.#uppers.udp.input(at, end);
      return;
    }
    if (protocol !== icmp) return counters.add(Count.dropIpProtocol);
    if (icmp === IpProtocol.Icmp) return this.#uppers.icmp4.input(at, end);
    return this.#uppers.icmp6.input(at, end);
  }

  /** Frames to the container go to the MAC address its last frame came from. */
  #noteMac(etherAt: number): void {
    const mac = this.#net.link.guestMac;
    const bytes = this.#net.host.arena.bytes;
    // A group address (lowest bit of the first byte) is nobody's source.
    if ((bytes[etherAt + 6] & 1) !== 0) return;
    for (let i = 0; i < 6; i++) mac[i] = bytes[etherAt + 6 + i]!;
  }
}
