/**
 * A DHCPv4 server (RFC 2131) for one client: the container, whose addresses are known before it asks. What it says is
 * read from the link at the time of the answer; a client that comes back with an address that is not the container's any
 * more is refused, and begins anew. BOOTP is answered as well (RFC 1534). There are no relays on this link.
 */
import { ipToBytes, ipv4Words, isBroadcast4, isIpv4, netmask4 } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { MAPPED, packKind, packPorts, SIDE_WORDS, SideWord } from "../flow/table.ts";
import { Pif } from "../flow/state.ts";
import { concatBytes, type DhcpOption, dhcpOption, wordBytes } from "../wire/dhcp-option.ts";
import {
  DHCP4_CLIENT_PORT,
  DHCP4_SERVER_PORT,
  dhcp4Address,
  dhcp4ClientAddress,
  Dhcp4Option,
  dhcp4RelayAddress,
  Dhcp4Type,
  dhcp4Type,
  dhcp4Value,
  dhcp4WantsBroadcast,
  FqdnFlag4,
  isDhcp4RequestValid,
  writeDhcp4Reply,
} from "../wire/dhcp4.ts";
import { compressDnsNames, encodeDnsName } from "../wire/dns-name.ts";
import { IPV4_LENGTH, IpProtocol } from "../wire/ipv4.ts";
import { UDP_LENGTH } from "../wire/udp.ts";
import { classlessRoutes } from "./classless-routes.ts";
import type { DhcpServer } from "./dhcp.ts";
import { INFINITE_SECONDS, leaseOf } from "./lease.ts";
import type { Link } from "./link.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";

/** IP packets, in bytes: what every client takes, and what it may ask for at most. */
const PACKET_MIN = 576;
const PACKET_MAX = 1500;
const EVERYBODY = 0xffffffff;
const EVERYBODY_MAC = new Uint8Array(6).fill(0xff);
/** A server does not tell what came of DNS updates (RFC 4702 section 2.2). */
const NO_RESULT = 0xff;
/** As many addresses that were ours are ours to clients still. */
const FORMER_MAX = 8;

/** What is said to a request. */
interface Answer {
  /** Dhcp4Type. */
  type: number;
  /** Who we are to the client. */
  server: number;
  /** The client's address as it says itself ("ciaddr"), and as we say ("yiaddr"); host order, 0 for none. */
  client: number;
  yours: number;
}

export class Dhcp4 implements DhcpServer {
  readonly #net: Net;
  readonly #output: Output;
  /** The side that an answer leaves on. */
  readonly #side = new Uint32Array(SIDE_WORDS);
  /** What our address was before, the latest last: clients come back to the server that they know. */
  #former: number[] = [];
  /** The last address that a client found in use, or 0. */
  #declined = 0;

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#output = output;
    this.#side[SideWord.Kind] = packKind(IpProtocol.Udp, Pif.Tap);
    this.#side[SideWord.Ports] = packPorts(DHCP4_SERVER_PORT, DHCP4_CLIENT_PORT);
    this.#side[SideWord.Endpoint + 2] = MAPPED;
  }

  networkChanged(before: Link): void {
    const ours = before.v4.ours[3];
    if (ours === this.#net.link.v4.ours[3]) return;
    this.#former = [...this.#former.filter((each) => each !== ours), ours].slice(-FORMER_MAX);
  }

  isAsked(): boolean {
    const { flows, link } = this.#net;
    if (!link.v4.dhcp || !isIpv4(flows.key, SideWord.Ours)) return false;
    return isBroadcast4(flows.key, SideWord.Ours) || this.#isOurs(flows.key[SideWord.Ours + 3]);
  }

  #isOurs(address: number): boolean {
    return address === this.#net.link.v4.ours[3] || this.#former.includes(address);
  }

  input(at: number, end: number): void {
    const { counters, host } = this.#net;
    const { view } = host.arena;
    const isFromClient = isDhcp4RequestValid(view, at, end) && dhcp4RelayAddress(view, at) === 0;
    const isUnderstood = isFromClient && this.#request(at, end);
    if (!isUnderstood) counters.add(Count.dropDhcp4);
  }

  /** Answers, where there is something to say; false when the message is not for a server, or not for this one. */
  #request(at: number, end: number): boolean {
    const { view } = this.#net.host.arena;
    const client = dhcp4ClientAddress(view, at);
    const wanted = dhcp4Address(view, at, end, Dhcp4Option.RequestedAddress) || client;
    const named = dhcp4Address(view, at, end, Dhcp4Option.Server);
    if (named !== 0 && !this.#isOurs(named)) return false;
    const server = named || this.#addressed();
    const yours = this.#addressFor(wanted);
    const type = dhcp4Type(view, at, end);
    switch (type) {
      case Dhcp4Type.Inform:
        return this.#send(at, end, { type: Dhcp4Type.Ack, server, client, yours: 0 });
      case Dhcp4Type.Decline:
        this.#declined = wanted;
        return true;
      case Dhcp4Type.Release:
        // There is nobody else to give it to.
        return true;
      case Dhcp4Type.Request:
        if (wanted !== 0 && wanted !== yours) {
          return this.#send(at, end, { type: Dhcp4Type.Nak, server, client: 0, yours: 0 });
        }
        return yours !== 0 && this.#send(at, end, { type: Dhcp4Type.Ack, server, client, yours });
      case Dhcp4Type.Discover: {
        const isRapid = this.#value(at, end, Dhcp4Option.RapidCommit) !== undefined;
        const next = isRapid ? Dhcp4Type.Ack : Dhcp4Type.Offer;
        return yours !== 0 && this.#send(at, end, { type: next, server, client: 0, yours });
      }
      case Dhcp4Type.Bootp:
        return yours !== 0 && this.#send(at, end, { type, server, client, yours });
      default:
        return false;
    }
  }

  /** Which of our addresses the message was sent to. */
  #addressed(): number {
    const { flows, link } = this.#net;
    return isBroadcast4(flows.key, SideWord.Ours) ? link.v4.ours[3] : flows.key[SideWord.Ours + 3];
  }

  /**
   * The address asked for where it is one of the container's, else the most important one; 0 when it has none. One that
   * was found in use comes last.
   */
  #addressFor(wanted: number): number {
    const addresses = this.#net.link.v4.assigned.map((each) => each[3]);
    if (addresses.includes(wanted)) return wanted;
    return addresses.find((each) => each !== this.#declined) ?? addresses.at(0) ?? 0;
  }

  #send(at: number, end: number, answer: Answer): true {
    const { host, link } = this.#net;
    const { view } = host.arena;
    const side = this.#side;
    side.set(ipv4Words(answer.server), SideWord.Ours);
    side[SideWord.Endpoint + 3] = this.#destination(at, answer);
    const mac = side[SideWord.Endpoint + 3] === EVERYBODY ? EVERYBODY_MAC : link.guestMac;
    const reply = this.#output.payloadAt;
    const length = writeDhcp4Reply(view, reply, reply + this.#room(at, end), at, {
      clientAddress: answer.client,
      yourAddress: answer.yours,
      options: this.#options(at, end, answer),
    });
    this.#output.udpFrom(side, 0, length, 0, mac);
    return true;
  }

  /** Where an answer goes (RFC 2131 section 4.1). */
  #destination(at: number, { client, yours }: Answer): number {
    if (client !== 0) return client;
    return yours === 0 || dhcp4WantsBroadcast(this.#net.host.arena.view, at) ? EVERYBODY : yours;
  }

  /** Bytes of a message that the client takes. */
  #room(at: number, end: number): number {
    const [high = 0, low = 0] = this.#value(at, end, Dhcp4Option.MaximumMessage) ?? [];
    const packet = Math.min(Math.max(high * 256 + low, PACKET_MIN), PACKET_MAX);
    return packet - IPV4_LENGTH - UDP_LENGTH;
  }

  #value(at: number, end: number, code: number): Uint8Array | undefined {
    return dhcp4Value(this.#net.host.arena.view, at, end, code);
  }

  /** What must be there and where some clients look for it, in front; then what was asked for, then all else. */
  #options(at: number, end: number, answer: Answer): DhcpOption[] {
    const { view } = this.#net.host.arena;
    const { type, server, client, yours } = answer;
    const options: DhcpOption[] = [];
    const isDhcp = type !== Dhcp4Type.Bootp;
    if (isDhcp) options.push(dhcpOption(Dhcp4Option.Type, Uint8Array.of(type)));
    if (isDhcp) options.push(dhcpOption(Dhcp4Option.Server, wordBytes([server])));
    const identifier = this.#value(at, end, Dhcp4Option.ClientIdentifier);
    // RFC 6842 section 3.
    if (identifier !== undefined) options.push(dhcpOption(Dhcp4Option.ClientIdentifier, identifier));
    if (type === Dhcp4Type.Nak) return options;
    if (isDhcp && yours !== 0) options.push(...this.#lease());
    const isRapid = type === Dhcp4Type.Ack && dhcp4Type(view, at, end) === Dhcp4Type.Discover;
    if (isRapid) options.push(dhcpOption(Dhcp4Option.RapidCommit));
    // Before the router, whatever the client wants (RFC 2132 section 3.3).
    options.push(dhcpOption(Dhcp4Option.SubnetMask, wordBytes([this.#mask(yours || client)])));
    const order = this.#value(at, end, Dhcp4Option.ParameterRequestList) ?? new Uint8Array(0);
    const rank = ({ code }: DhcpOption): number => (order.includes(code) ? order.indexOf(code) : 256 + code);
    return [...options, ...this.#configuration(at, end).toSorted((a, b) => rank(a) - rank(b))];
  }

  #lease(): DhcpOption[] {
    const { renew, rebind, valid } = leaseOf(this.#net, "v4");
    const lease = dhcpOption(Dhcp4Option.LeaseSeconds, wordBytes([valid]));
    if (valid === INFINITE_SECONDS) return [lease];
    return [
      lease,
      dhcpOption(Dhcp4Option.RenewalSeconds, wordBytes([renew])),
      dhcpOption(Dhcp4Option.RebindingSeconds, wordBytes([rebind])),
    ];
  }

  #mask(address: number): number {
    const { assigned, prefixLengths } = this.#net.link.v4;
    const known = assigned.findIndex((each) => each[3] === address);
    return netmask4(prefixLengths[Math.max(known, 0)] ?? 32);
  }

  /** What there is to tell beside the address. */
  #configuration(at: number, end: number): DhcpOption[] {
    const { link, rules } = this.#net;
    const { resolvers, searchDomains, hostname, fqdn } = link.advertise;
    const asked = this.#value(at, end, Dhcp4Option.ClientFqdn);
    const { gateway } = rules.v4;
    const lists: DhcpOption[] = [
      dhcpOption(Dhcp4Option.Router, ...(gateway === undefined ? [] : [ipToBytes(gateway)])),
      dhcpOption(Dhcp4Option.Resolvers, ...resolvers.filter((words) => isIpv4(words)).map(ipToBytes)),
      dhcpOption(Dhcp4Option.HostName, ...(hostname === undefined ? [] : [textBytes(hostname)])),
      dhcpOption(Dhcp4Option.Mtu, Uint8Array.of(link.mtu >> 8, link.mtu & 0xff)),
      dhcpOption(Dhcp4Option.ClientFqdn, ...clientFqdn(fqdn, asked)),
      dhcpOption(Dhcp4Option.SearchList, ...compressDnsNames(searchDomains)),
      dhcpOption(Dhcp4Option.ClasslessRoutes, ...classlessRoutes(link.v4, gateway)),
    ];
    return lists.filter(({ parts }) => parts.length > 0);
  }
}

const textBytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/**
 * The container's name, if it has one, in the form that the client uses (RFC 4702 section 4); nobody updates the DNS.
 * @param asked the client's own option
 */
function clientFqdn(name: string | undefined, asked: Uint8Array | undefined): Uint8Array[] {
  const encoded = name === undefined ? undefined : encodeDnsName(name);
  if (name === undefined || encoded === undefined) return [];
  const flags = asked?.at(0) ?? FqdnFlag4.Encoded;
  const override = (flags & FqdnFlag4.ServerUpdates) !== 0 ? FqdnFlag4.Override : 0;
  const form = flags & FqdnFlag4.Encoded;
  const header = Uint8Array.of(FqdnFlag4.NoUpdates | override | form, NO_RESULT, NO_RESULT);
  return [concatBytes([header, form === 0 ? textBytes(name) : encoded])];
}
