/** Packets of scripts as frames from the container. */
import { parseIp, parseMac } from "../../src/base/address.ts";
import { ARP_LENGTH, ArpOperation, writeArp } from "../../src/wire/arp.ts";
import { ETHERNET_LENGTH, EtherType } from "../../src/wire/ethernet.ts";
import { IPV4_LENGTH, IpProtocol } from "../../src/wire/ipv4.ts";
import { IPV6_LENGTH } from "../../src/wire/ipv6.ts";
import { TCP_LENGTH, writeTcp } from "../../src/wire/tcp.ts";
import { VNET_LENGTH, VnetGso } from "../../src/wire/vnet.ts";
import { dhcpMessage } from "../support/dhcp-messages.ts";
import { ip } from "../support/fake-net.ts";
import { ethernetFrame, ipFrame, type PacketOptions, udpDatagram } from "../support/frames.ts";
import { flagBits } from "./compare.ts";
import { FROM_CONTAINER, streamBytes, trainBytes } from "./payload.ts";
import type { FlowLine, Packet, Segment } from "./script.ts";

const GUEST_MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x10);
const NEIGHBOR_SOLICITATION = 135;
const NEIGHBOR_ADVERTISEMENT = 136;
const ROUTER_SOLICITATION = 133;

export interface Bases {
  /** Initial sequence number of the container, and ours. */
  theirs: number;
  ours: number;
}

/** The frame of a packet, with its virtio_net_hdr. */
export function buildFrame(packet: Packet, flow: FlowLine, bases: Bases): Uint8Array {
  const { body } = packet;
  if (body.kind === "other" && body.text.startsWith("arp ")) return spoil(arpFrame(body.text), packet);
  const modifier = (name: string): string | undefined =>
    packet.modifiers.find(([word]) => word === name)?.[1];
  const to = modifier("to") ?? flow.outside;
  const options: PacketOptions = { from: modifier("from") ?? flow.inside };
  const hops = modifier("ttl");
  if (hops !== undefined) options.hopLimit = Number(hops);
  if (modifier("df") === "off") options.dontFragment = false;
  let [protocol, payload] = upper(packet, flow, bases, to, options);
  const fragment = packet.modifiers.find(([word]) => word === "fragment");
  if (fragment !== undefined) payload = cutFragment(payload, fragment, options);
  const extensions = packet.modifiers.find(([word]) => word === "ext");
  if (extensions !== undefined) [protocol, payload] = extend(extensions.slice(1), protocol, payload);
  return spoil(ipFrame(to, protocol, payload, options), packet);
}

/** Protocol and bytes above IP. Sets what belongs into other headers in `options`. */
function upper(
  packet: Packet,
  flow: FlowLine,
  bases: Bases,
  to: string,
  options: PacketOptions,
): [number, Uint8Array] {
  const { body, literal } = packet;
  const dhcp = body.kind === "other" ? dhcpMessage(body.text) : undefined;
  if (dhcp !== undefined) return [IpProtocol.Udp, udpDatagram(flow.insidePort, flow.outsidePort, dhcp)];
  if (body.kind === "other") return control(body.text, to, options);
  if (body.kind === "tcp") {
    const type = to.includes(":") ? VnetGso.Tcp6 : VnetGso.Tcp4;
    if (body.gso > 0) options.gso = { type, size: body.gso };
    return [IpProtocol.Tcp, tcpSegment(body, literal, flow, bases)];
  }
  if (body.segment > 0) options.gso = { type: VnetGso.UdpL4, size: body.segment };
  const payload = literal === undefined ? trainBytes(body.length, body.segment) : Buffer.from(literal);
  return [IpProtocol.Udp, udpDatagram(flow.insidePort, flow.outsidePort, payload)];
}

function tcpSegment(body: Segment, literal: string | undefined, flow: FlowLine, bases: Bases): Uint8Array {
  const options = tcpOptions(body.options);
  const payload =
    literal === undefined
      ? streamBytes(body.sequence - 1, body.length, FROM_CONTAINER)
      : Buffer.from(literal);
  if (payload.length !== body.length) throw new Error(`"${literal}" is not ${body.length} bytes long`);
  const header = TCP_LENGTH + options.length;
  const bytes = new Uint8Array(header + payload.length);
  writeTcp(
    new DataView(bytes.buffer),
    0,
    flow.insidePort,
    flow.outsidePort,
    (bases.theirs + body.sequence) >>> 0,
    body.ack === undefined ? 0 : (bases.ours + body.ack) >>> 0,
    header,
    flagBits(body.flags),
    body.window ?? 65_535,
  );
  bytes.set(options, TCP_LENGTH);
  bytes.set(payload, header);
  return bytes;
}

function tcpOptions(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const option of text.split(",").filter((part) => part !== "")) {
    const [name, value = "0", timestamp = "0", , echo = "0"] = option.trim().split(" ");
    const number = Number(value);
    if (name === "mss") bytes.push(2, 4, number >> 8, number & 255);
    else if (name === "wscale") bytes.push(3, 3, number);
    else if (name === "sackOK") bytes.push(4, 2);
    else if (name === "nop") bytes.push(1);
    else if (name === "eol") bytes.push(0);
    else if (name === "raw") bytes.push(...Buffer.from(value, "hex"));
    else if (name === "TS") bytes.push(8, 10, ...word32(Number(timestamp)), ...word32(Number(echo)));
    else throw new Error(`unknown TCP option "${option}"`);
  }
  while (bytes.length % 4 !== 0) bytes.push(0);
  return Uint8Array.from(bytes);
}

const word32 = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);

/** ICMP of either family; "icmp TYPE CODE LENGTH", "echo id N seq N length N", "ns", "na", "rs". */
function control(text: string, to: string, options: PacketOptions): [number, Uint8Array] {
  const v6 = to.includes(":");
  const protocol = v6 ? IpProtocol.Icmp6 : IpProtocol.Icmp;
  const echo = /^echo id (\d+) seq (\d+) length (\d+)$/.exec(text);
  if (echo !== null) {
    const [id, sequence, length] = echo.slice(1).map(Number);
    const message = icmp(v6 ? 128 : 8, 0, streamBytes(0, length, FROM_CONTAINER));
    message.set([id >> 8, id & 255, sequence >> 8, sequence & 255], 4);
    return [protocol, message];
  }
  const plain = /^icmp (\d+) (\d+) (\d+)$/.exec(text);
  if (plain !== null) {
    const [type, code, length] = plain.slice(1).map(Number);
    return [protocol, icmp(type, code, new Uint8Array(length))];
  }
  const ndp = /^(ns who-has|na is-at|rs)(?: (\S+))?$/.exec(text);
  if (ndp === null) throw new Error(`no packet: ${text}`);
  options.hopLimit ??= 255;
  if (ndp[1] === "rs") return [protocol, icmp(ROUTER_SOLICITATION, 0, linkLayer(1))];
  const type = ndp[1] === "na is-at" ? NEIGHBOR_ADVERTISEMENT : NEIGHBOR_SOLICITATION;
  const target = ip(ndp[2] ?? "::");
  // Duplicate address detection does not name its sender (RFC 4861 section 4.3).
  const option = options.from === "::" ? [] : linkLayer(type === NEIGHBOR_SOLICITATION ? 1 : 2);
  return [protocol, icmp(type, 0, [...[...target].flatMap(word32), ...option])];
}

function icmp(type: number, code: number, data: ArrayLike<number>): Uint8Array {
  const message = new Uint8Array(8 + data.length);
  message.set([type, code]);
  message.set(data, 8);
  return message;
}

const linkLayer = (type: number): number[] => [type, 1, ...GUEST_MAC];

const ipv4Number = (name: string): number => parseIp(name)?.[3] ?? 0;

function arpFrame(text: string): Uint8Array {
  const match = /^arp (?:who-has (\S+) tell (\S+)|(\S+) is-at (\S+))$/.exec(text);
  if (match === null) throw new Error(`no packet: ${text}`);
  const [, target, sender, owner, mac] = match;
  const packet = new Uint8Array(ARP_LENGTH);
  const view = new DataView(packet.buffer);
  const nobody = new Uint8Array(6);
  if (owner === undefined) {
    writeArp(view, 0, ArpOperation.Request, GUEST_MAC, ipv4Number(sender), nobody, ipv4Number(target));
  } else {
    const sha = parseMac(mac) ?? nobody;
    writeArp(view, 0, ArpOperation.Reply, sha, ipv4Number(owner), nobody, ipv4Number("192.0.2.1"));
  }
  return ethernetFrame(EtherType.Arp, packet);
}

/** `fragment START:END[+] id N`: these bytes of the payload, "+" when more follow. */
function cutFragment(payload: Uint8Array, words: string[], options: PacketOptions): Uint8Array {
  const match = /^(\d+):(\d+)(\+?)$/.exec(words[1]);
  if (match === null) throw new Error(`no fragment: ${words.join(" ")}`);
  const [offset, end] = [Number(match[1]), Number(match[2])];
  options.fragment = { offset, more: match[3] === "+", id: Number(words[3]) };
  return payload.slice(offset, end);
}

const EXTENSIONS: ReadonlyMap<string, number> = new Map([
  ["hop", 0],
  ["routing", 43],
  ["atomic", 44],
  ["ah", 51],
  ["none", 59],
  ["dst", 60],
]);

/** Puts IPv6 extension headers in front; each is 8 bytes, an authentication header 16. */
function extend(names: string[], protocol: number, payload: Uint8Array): [number, Uint8Array] {
  let next = protocol;
  let bytes = payload;
  for (const name of names.toReversed()) {
    const kind = EXTENSIONS.get(name);
    if (kind === undefined) throw new Error(`unknown extension header "${name}"`);
    const header = new Uint8Array(name === "ah" ? 16 : 8);
    header[0] = next;
    if (name === "ah") header[1] = 2;
    // PadN over what is left.
    if (name === "hop" || name === "dst") header.set([1, 4], 2);
    bytes = name === "none" ? bytes : Uint8Array.from([...header, ...bytes]);
    next = kind;
  }
  return [next, bytes];
}

/** What makes a frame unusual from outside: `pad N`, `cut N` (bytes of the Ethernet frame), `byte OFFSET VALUE`. */
function spoil(frame: Uint8Array, packet: Packet): Uint8Array {
  let bytes = frame;
  for (const [name, first, second] of packet.modifiers) {
    const at = Number(first);
    if (name === "pad") {
      const padded = new Uint8Array(Math.max(bytes.length, VNET_LENGTH + at)).fill(0xee, bytes.length);
      padded.set(bytes);
      bytes = padded;
    } else if (name === "cut") bytes = bytes.slice(0, VNET_LENGTH + at);
    // Offsets count from the IP or ARP header, negative ones reach the Ethernet header.
    else if (name === "byte") bytes[VNET_LENGTH + ETHERNET_LENGTH + at] = Number(second);
    else if (name === "mac") bytes.set(parseMac(first) ?? [], VNET_LENGTH + 6);
    else if (!KNOWN.has(name)) throw new Error(`unknown modifier "${name}"`);
  }
  return bytes;
}

const KNOWN: ReadonlySet<string> = new Set(["ttl", "df", "from", "to", "fragment", "ext"]);

/** Bytes of the IP header of a family. */
export const ipHeaderLength = (v6: boolean): number => (v6 ? IPV6_LENGTH : IPV4_LENGTH);
