/**
 * A DHCPv6 server (RFC 8415) for one client: the container, whose addresses are known before it asks. It gets all of
 * them, the host's temporary ones too, for it is what the host is. Nothing is kept; what is said is read from the link at
 * the time of the answer. Routes come from router advertisements. There are no relays on this link.
 */
import { ipToBytes, isIpv4, isUnspecified, isMulticast, sameIp } from "../base/address.ts";
import { Count } from "../base/counters.ts";
import { packKind, packPorts, SIDE_WORDS, SideWord } from "../flow/table.ts";
import { Pif } from "../flow/state.ts";
import { concatBytes, type DhcpOption, dhcpOption, wordBytes } from "../wire/dhcp-option.ts";
import {
  DHCP6_CLIENT_PORT,
  DHCP6_SERVER_PORT,
  dhcp6MessageOptions,
  Dhcp6Option,
  type Dhcp6OptionAt,
  dhcp6OptionBytes,
  dhcp6Options,
  Dhcp6Status,
  dhcp6Transaction,
  Dhcp6Type,
  dhcp6Type,
  dhcp6Value,
  FqdnFlag6,
  isDhcp6Valid,
  isDuid,
  linkLayerDuid,
  writeDhcp6,
} from "../wire/dhcp6.ts";
import { encodeDnsName } from "../wire/dns-name.ts";
import { IPV6_LENGTH, ipv6Words } from "../wire/ipv6.ts";
import { IpProtocol } from "../wire/ipv4.ts";
import { UDP_LENGTH } from "../wire/udp.ts";
import type { DhcpServer } from "./dhcp.ts";
import { INFINITE_SECONDS, leaseOf } from "./lease.ts";
import type { Net } from "./net.ts";
import type { Output } from "./output.ts";

/** All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1). */
const ALL_SERVERS = Uint32Array.of(0xff020000, 0, 0, 0x00010002);
/** As often as a client may be made to ask (RFC 8415 sections 21.23 and 21.24). */
const REFRESH_SECONDS = 600;
const SOLICIT_SECONDS = 60;
/** The client need not wait for other servers (RFC 8415 section 21.8). */
const HIGHEST_PREFERENCE = 255;
/** What every link carries (RFC 8200 section 5). */
const MESSAGE_MAX = 1280 - IPV6_LENGTH - UDP_LENGTH;
/** In front of the options of an identity association: its identifier, and with it two times. */
const IA_HEADER: ReadonlyMap<number, number> = new Map([
  [Dhcp6Option.IaNa, 12],
  [Dhcp6Option.IaTa, 4],
  [Dhcp6Option.IaPd, 12],
]);
/** In front of the options of an address: itself, and two times. */
const IA_ADDRESS_HEADER = 24;

/** A message, as far as it has been read. */
interface Message {
  /** Dhcp6Type. */
  type: number;
  transaction: number;
  options: readonly Dhcp6OptionAt[];
  client: Uint8Array | undefined;
  server: Uint8Array | undefined;
  associations: readonly Association[];
}

/** An identity association of a message. */
interface Association {
  /** Dhcp6Option: IaNa, IaTa or IaPd. */
  code: number;
  /** Its identifier as bytes. */
  id: Uint8Array;
  /** Addresses that the client names. */
  addresses: readonly Uint32Array[];
}

export class Dhcp6 implements DhcpServer {
  readonly #net: Net;
  readonly #output: Output;
  /** The side that an answer leaves on. */
  readonly #side = new Uint32Array(SIDE_WORDS);

  constructor(net: Net, output: Output) {
    this.#net = net;
    this.#output = output;
    this.#side[SideWord.Kind] = packKind(IpProtocol.Udp, Pif.Tap);
    this.#side[SideWord.Ports] = packPorts(DHCP6_SERVER_PORT, DHCP6_CLIENT_PORT);
  }

  isAsked(): boolean {
    const { flows, link } = this.#net;
    return link.v6.dhcp && (this.#isToGroup() || sameIp(flows.key, SideWord.Ours, link.v6.ours, 0));
  }

  input(at: number, end: number): void {
    const message = this.#read(at, end);
    const isUnderstood = message !== undefined && this.#request(message);
    if (!isUnderstood) this.#net.counters.add(Count.dropDhcp6);
  }

  #isToGroup(): boolean {
    return sameIp(this.#net.flows.key, SideWord.Ours, ALL_SERVERS, 0);
  }

  /** Undefined when the message is malformed, or its sender cannot be answered. */
  #read(at: number, end: number): Message | undefined {
    const { flows, host } = this.#net;
    const { view } = host.arena;
    const isFromNobody =
      isUnspecified(flows.key, SideWord.Endpoint) || isMulticast(flows.key, SideWord.Endpoint);
    if (isFromNobody || !isDhcp6Valid(view, at, end)) return undefined;
    const options = dhcp6MessageOptions(view, at, end);
    const associations = readAssociations(view, options);
    const client = dhcp6Value(view, options, Dhcp6Option.Client);
    if (associations === undefined || (client !== undefined && !isDuid(client))) return undefined;
    const server = dhcp6Value(view, options, Dhcp6Option.Server);
    const [type, transaction] = [dhcp6Type(view, at), dhcp6Transaction(view, at)];
    return { type, transaction, options, client, server, associations };
  }

  /** Answers, where there is something to say; false when the message is not for a server, or not for this one. */
  #request(message: Message): boolean {
    if (!this.#isForUs(message)) return false;
    const { type, associations, options } = message;
    // We never said that we may be spoken to alone (RFC 8415 section 18.4).
    if (!this.#isToGroup()) return this.#reply(message, [status(Dhcp6Status.UseMulticast)]);
    const named = associations.flatMap(({ addresses }) => addresses);
    switch (type) {
      case Dhcp6Type.Solicit: {
        const isRapid = options.some(({ code }) => code === Dhcp6Option.RapidCommit);
        const leases = this.#associate(message);
        if (isRapid) return this.#reply(message, [dhcpOption(Dhcp6Option.RapidCommit), ...leases]);
        const preference = dhcpOption(Dhcp6Option.Preference, Uint8Array.of(HIGHEST_PREFERENCE));
        return this.#send(Dhcp6Type.Advertise, message, [preference, ...leases, ...this.#solicitTime()]);
      }
      case Dhcp6Type.Confirm: {
        // Whoever has no address has nothing to be confirmed (RFC 8415 section 18.3.3).
        if (named.length === 0) return false;
        const isRight = named.every((address) => this.#isAssigned(address));
        return this.#reply(message, [status(isRight ? Dhcp6Status.Success : Dhcp6Status.NotOnLink)]);
      }
      case Dhcp6Type.Release:
      case Dhcp6Type.Decline:
        // There is no other address to give, and nobody else to give these to.
        return this.#reply(message, [status(Dhcp6Status.Success), ...this.#associate(message)]);
      case Dhcp6Type.InformationRequest: {
        const seconds = this.#net.link.follows ? REFRESH_SECONDS : INFINITE_SECONDS;
        return this.#reply(message, [dhcpOption(Dhcp6Option.InformationRefreshTime, wordBytes([seconds]))]);
      }
      default:
        return this.#reply(message, this.#associate(message));
    }
  }

  /** Who looks for addresses before the host has any shall soon look again; by itself it would wait an hour. */
  #solicitTime(): DhcpOption[] {
    const { follows, v6 } = this.#net.link;
    if (!follows || v6.assigned.length > 0) return [];
    return [dhcpOption(Dhcp6Option.MaximumSolicitTime, wordBytes([SOLICIT_SECONDS]))];
  }

  /** Who must be named in a message, and who must not (RFC 8415 section 16). */
  #isForUs({ type, client, server, associations }: Message): boolean {
    const isToGroup = this.#isToGroup();
    const isOurs = server !== undefined && Buffer.compare(server, this.#duid()) === 0;
    switch (type) {
      case Dhcp6Type.Solicit:
      case Dhcp6Type.Confirm:
      case Dhcp6Type.Rebind:
        return isToGroup && client !== undefined && server === undefined;
      case Dhcp6Type.Request:
      case Dhcp6Type.Renew:
      case Dhcp6Type.Release:
      case Dhcp6Type.Decline:
        return client !== undefined && isOurs;
      case Dhcp6Type.InformationRequest:
        return isToGroup && (isOurs || server === undefined) && associations.length === 0;
      default:
        return false;
    }
  }

  #duid(): Uint8Array {
    return linkLayerDuid(this.#net.link.ourMac);
  }

  #isAssigned(address: Uint32Array): boolean {
    return this.#net.rules.v6.assigned.some((own) => sameIp(own, 0, address, 0));
  }

  /** What each association of the message is told: the first one for addresses gets them. */
  #associate({ type, associations }: Message): DhcpOption[] {
    const first = associations.find(({ code }) => code === Dhcp6Option.IaNa);
    const { renew, rebind } = leaseOf(this.#net, "v6");
    return associations.flatMap((association) => {
      const { code, id } = association;
      const inside = association === first ? this.#lease(type, association) : refusal(type, code);
      if (inside === undefined) return [];
      const times = code === Dhcp6Option.IaTa ? [] : [wordBytes([renew, rebind])];
      return dhcpOption(code, concatBytes([id, ...times, ...inside]));
    });
  }

  /** The options inside the association for addresses; undefined when nothing is to be said of it. */
  #lease(type: number, { addresses }: Association): Uint8Array[] | undefined {
    if (type === Dhcp6Type.Release || type === Dhcp6Type.Decline) return undefined;
    const { assigned } = this.#net.link.v6;
    const wrong = addresses.filter((address) => !this.#isAssigned(address));
    if (type === Dhcp6Type.Request && wrong.length > 0) return [statusBytes(Dhcp6Status.NotOnLink)];
    // A client that has others shall give them up (RFC 8415 sections 18.3.4 and 18.3.5).
    const isRenewed = type === Dhcp6Type.Renew || type === Dhcp6Type.Rebind;
    const { valid } = leaseOf(this.#net, "v6");
    const given = assigned.map((address) => iaAddress(address, valid));
    const taken = isRenewed ? wrong.map((address) => iaAddress(address, 0)) : [];
    if (given.length + taken.length === 0) return [statusBytes(Dhcp6Status.NoAddressAvailable)];
    return [...given, ...taken];
  }

  #reply(message: Message, more: readonly DhcpOption[]): true {
    return this.#send(Dhcp6Type.Reply, message, more);
  }

  /** Sends a message with what follows from the one it answers, with `more`, and with the configuration. */
  #send(type: number, message: Message, more: readonly DhcpOption[]): true {
    const { flows, host, link } = this.#net;
    const { client } = message;
    const side = this.#side;
    for (let i = 0; i < 4; i++) {
      side[SideWord.Ours + i] = link.v6.ours[i];
      side[SideWord.Endpoint + i] = flows.key[SideWord.Endpoint + i];
    }
    const isRefusal = !this.#isToGroup();
    const options = [
      ...(client === undefined ? [] : [dhcpOption(Dhcp6Option.Client, client)]),
      dhcpOption(Dhcp6Option.Server, this.#duid()),
      ...more,
      ...(isRefusal ? [] : this.#configuration(message)),
    ];
    const at = this.#output.payloadAt;
    const length = writeDhcp6(host.arena.view, at, at + MESSAGE_MAX, type, message.transaction, options);
    this.#output.udpFrom(side, 0, length, 0, link.guestMac);
    return true;
  }

  /** What there is to tell beside addresses. */
  #configuration({ options }: Message): DhcpOption[] {
    const { resolvers, searchDomains, fqdn } = this.#net.link.advertise;
    const { view } = this.#net.host.arena;
    const asked = dhcp6Value(view, options, Dhcp6Option.ClientFqdn);
    const wanted = dhcp6Value(view, options, Dhcp6Option.OptionRequest) ?? new Uint8Array(0);
    const isNameWanted =
      asked !== undefined ||
      wanted.some((byte, i) => i % 2 === 1 && wanted[i - 1] === 0 && byte === Dhcp6Option.ClientFqdn);
    // Only for who knows the option (RFC 4704 section 6).
    const name = fqdn === undefined || !isNameWanted ? undefined : encodeDnsName(fqdn);
    const lists: DhcpOption[] = [
      dhcpOption(Dhcp6Option.Resolvers, ...resolvers.filter((words) => !isIpv4(words)).map(ipToBytes)),
      dhcpOption(
        Dhcp6Option.SearchList,
        ...searchDomains.map(encodeDnsName).filter((each) => each !== undefined),
      ),
      dhcpOption(Dhcp6Option.ClientFqdn, ...(name === undefined ? [] : [clientFqdn(name, asked)])),
    ];
    return lists.filter(({ parts }) => parts.length > 0);
  }
}

const status = (code: number): DhcpOption => dhcpOption(Dhcp6Option.StatusCode, Uint8Array.of(0, code));
const statusBytes = (code: number): Uint8Array =>
  dhcp6OptionBytes(Dhcp6Option.StatusCode, Uint8Array.of(0, code));

/** An address that a client may use for so long, or not any more (0). */
const iaAddress = (address: Uint32Array, seconds: number): Uint8Array =>
  dhcp6OptionBytes(Dhcp6Option.IaAddress, concatBytes([ipToBytes(address), wordBytes([seconds, seconds])]));

/** What an association is told that gets nothing. */
function refusal(type: number, code: number): Uint8Array[] {
  if (type !== Dhcp6Type.Solicit && type !== Dhcp6Type.Request) return [statusBytes(Dhcp6Status.NoBinding)];
  const { NoPrefixAvailable, NoAddressAvailable } = Dhcp6Status;
  return [statusBytes(code === Dhcp6Option.IaPd ? NoPrefixAvailable : NoAddressAvailable)];
}

/** Undefined when one is malformed. */
function readAssociations(view: DataView, options: readonly Dhcp6OptionAt[]): Association[] | undefined {
  const associations: Association[] = [];
  for (const { code, at, end } of options) {
    const header = IA_HEADER.get(code);
    if (header === undefined) continue;
    const inside = end - at < header ? undefined : dhcp6Options(view, at + header, end);
    const named = inside?.filter((each) => each.code === Dhcp6Option.IaAddress);
    if (named === undefined || named.some((each) => each.end - each.at < IA_ADDRESS_HEADER)) return undefined;
    const id = new Uint8Array(view.buffer, view.byteOffset + at, 4);
    associations.push({ code, id, addresses: named.map((each) => ipv6Words(view, each.at)) });
  }
  return associations;
}

/** The container's name; nobody updates the DNS. @param asked the client's own option */
function clientFqdn(name: Uint8Array, asked: Uint8Array | undefined): Uint8Array {
  const override = ((asked?.at(0) ?? 0) & FqdnFlag6.ServerUpdates) !== 0 ? FqdnFlag6.Override : 0;
  return concatBytes([Uint8Array.of(FqdnFlag6.NoUpdates | override), name]);
}
