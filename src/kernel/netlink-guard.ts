/**
 * Which changes are made by rtnetlink for a process that must not have the power for them itself. Whoever has it in the
 * owner of the host's network could reach out of the container by what a request says: make interfaces in another network
 * namespace (IFLA_NET_NS_PID), or delete those that are there (IFLA_TARGET_NETNSID). So a request has to be exactly what
 * this project writes, and be about the one interface.
 */
import { constants } from "node:os";
import {
  decodeNetlinkMessages,
  encodeNetlinkMessage,
  LITTLE_ENDIAN,
  NETLINK_HEADER_LENGTH,
  NetlinkFlag,
  NetlinkType,
  viewOf,
  type NetlinkMessage,
} from "../wire/netlink-message.ts";
import {
  decodeAddress,
  decodeLinkChange,
  encodeAddress,
  encodeLinkChange,
  RtnetlinkType,
} from "../wire/rtnetlink-message.ts";
import { decodeRoute, encodeRoute } from "../wire/rtnetlink-route.ts";

const CHANGE = NetlinkFlag.Request | NetlinkFlag.Ack;
/** What may come on top of CHANGE. */
const CHANGE_FLAGS = NetlinkFlag.Create | NetlinkFlag.Exclusive | NetlinkFlag.Replace;

/** What becomes of a datagram of the process that asks. */
export type Verdict =
  /** It goes to the kernel. */
  | { request: Uint8Array }
  /** It is refused, as the kernel would. */
  | { refusal: Uint8Array };

/** Looks at a datagram, which is to have one request about the interface of this index; undefined without one. */
export function judge(datagram: Uint8Array, interfaceIndex: number): Verdict | undefined {
  const [message, ...others] = decodeNetlinkMessages(datagram);
  if (message === undefined || others.length > 0) return undefined;
  if (isPermitted(message, interfaceIndex)) return { request: encodeNetlinkMessage({ ...message, port: 0 }) };
  return { refusal: refuse(message) };
}

/** Whether a datagram of the kernel's ends its answer: with the acknowledgement. */
export const endsAnswer = (datagram: Uint8Array): boolean =>
  decodeNetlinkMessages(datagram).some(({ type }) => type === NetlinkType.Error);

/** One that the kernel does not answer would never end. */
function isPermitted({ type, flags, body }: NetlinkMessage, interfaceIndex: number): boolean {
  if ((flags & ~CHANGE_FLAGS) !== CHANGE) return false;
  const canonical = canonicalBody(type, body, interfaceIndex);
  return canonical !== undefined && Buffer.compare(canonical, body) === 0;
}

/** What we would have written to say what `body` says; undefined where we would not say it. */
function canonicalBody(type: number, body: Uint8Array, interfaceIndex: number): Uint8Array | undefined {
  switch (type) {
    case RtnetlinkType.NewLink:
      return encodeLinkChange(interfaceIndex, decodeLinkChange(body));
    case RtnetlinkType.NewAddress:
    case RtnetlinkType.DeleteAddress: {
      const address = decodeAddress(body);
      return address?.interfaceIndex === interfaceIndex ? encodeAddress(address) : undefined;
    }
    case RtnetlinkType.NewRoute:
    case RtnetlinkType.DeleteRoute: {
      const route = decodeRoute(body);
      const isOurs = route?.nexthops.every((nexthop) => nexthop.interfaceIndex === interfaceIndex) === true;
      return isOurs ? encodeRoute(route) : undefined;
    }
    default:
      return undefined;
  }
}

/** The kernel's way to say EPERM. */
function refuse({ sequence }: NetlinkMessage): Uint8Array {
  const body = new Uint8Array(4 + NETLINK_HEADER_LENGTH);
  viewOf(body).setInt32(0, -constants.errno.EPERM, LITTLE_ENDIAN);
  const flags = NetlinkFlag.Capped;
  return encodeNetlinkMessage({ type: NetlinkType.Error, flags, sequence, port: 0, body });
}
