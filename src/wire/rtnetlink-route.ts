/**
 * The body of rtnetlink messages about routes (rtnetlink(7), struct rtmsg); cold path. A route with one next hop
 * and one with several are the same thing here, a list; on the wire they are not.
 */
import { MAIN_TABLE } from "../base/network.ts";
import type { Family, Nexthop, Route } from "../base/network.ts";
import {
  attributeNumber,
  decodeAttributes,
  encodeAttributes,
  encodeBody,
  LITTLE_ENDIAN,
  viewOf,
} from "./netlink-message.ts";
import type { Attribute, Attributes } from "./netlink-message.ts";
import { addressBytes, addressText, familyNumber, familyOf, maxPrefix } from "./rtnetlink-message.ts";

const HEADER_LENGTH = 12;
const NEXTHOP_HEADER_LENGTH = 8;
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_PREF = 20;
const RTA_ENCAP = 22;
/** Cached for one destination; not in any table. */
const RTM_F_CLONED = 0x200;
const RTNH_F_ONLINK = 4;
/** The one path property that is text: a congestion control, which the container's kernel may not have. */
const RTAX_CC_ALGO = 16;

/** The request for the routes of one table, both families. Old kernels ignore the table. */
export function routeDumpBody(table: number): Uint8Array {
  return encodeBody(new Uint8Array(HEADER_LENGTH), [[RTA_TABLE, table]]);
}

/** A route to add or to delete. */
export function encodeRoute(route: Route): Uint8Array {
  const single = route.nexthops.length === 1 ? route.nexthops[0] : undefined;
  const header = Uint8Array.of(
    familyNumber(route.family),
    route.destinationLength,
    route.sourceLength,
    route.tos,
    route.table < 256 ? route.table : 0,
    route.protocol,
    route.scope,
    route.type,
    single?.onlink === true ? RTNH_F_ONLINK : 0,
    0,
    0,
    0,
  );
  viewOf(header).setUint32(8, header[8], LITTLE_ENDIAN);
  const attributes: Attribute[] = [[RTA_TABLE, route.table]];
  if (route.destinationLength > 0) attributes.push([RTA_DST, addressBytes(route.destination)]);
  if (route.sourceLength > 0) attributes.push([RTA_SRC, addressBytes(route.source)]);
  if (route.metric !== 0) attributes.push([RTA_PRIORITY, route.metric]);
  if (route.preference !== 0) attributes.push([RTA_PREF, Uint8Array.of(route.preference)]);
  const properties = Object.entries(route.properties).map(([type, value]): Attribute => [
    Number(type),
    value,
  ]);
  if (properties.length > 0) attributes.push([RTA_METRICS, properties]);
  if (single !== undefined) {
    attributes.push([RTA_OIF, single.interfaceIndex], ...gatewayAttributes(route.family, single));
  } else if (route.nexthops.length > 1) {
    attributes.push([RTA_MULTIPATH, encodeNexthops(route)]);
  }
  return encodeBody(header, attributes);
}

/**
 * A route, or undefined when the body is malformed, of another family, cached, or says something that `Route`
 * cannot: encapsulation, or a next hop object given by its number only.
 */
export function decodeRoute(body: Uint8Array): Route | undefined {
  const family = familyOf(body[0]);
  if (body.length < HEADER_LENGTH || family === undefined) return undefined;
  const flags = viewOf(body).getUint32(8, LITTLE_ENDIAN);
  const attributes = decodeAttributes(body, HEADER_LENGTH);
  const destination = prefixText(attributes.get(RTA_DST), family, body[1]);
  const source = prefixText(attributes.get(RTA_SRC), family, body[2]);
  const nexthops = decodeNexthops(attributes, family, flags);
  if ((flags & RTM_F_CLONED) !== 0) return undefined;
  if (destination === undefined || source === undefined || nexthops === undefined) return undefined;
  return {
    family,
    destination,
    destinationLength: body[1],
    source,
    sourceLength: body[2],
    table: attributeNumber(attributes, RTA_TABLE) ?? (body[4] === 0 ? MAIN_TABLE : body[4]),
    protocol: body[5],
    scope: body[6],
    type: body[7],
    tos: body[3],
    metric: attributeNumber(attributes, RTA_PRIORITY) ?? 0,
    preference: attributes.get(RTA_PREF)?.[0] ?? 0,
    properties: decodeProperties(attributes.get(RTA_METRICS)),
    nexthops,
  };
}

function prefixText(value: Uint8Array | undefined, family: Family, length: number): string | undefined {
  if (length > maxPrefix(family)) return undefined;
  return length === 0 ? anyAddress(family) : addressText(value, family);
}

const anyAddress = (family: Family): string => (family === 4 ? "0.0.0.0" : "::");

function decodeProperties(value: Uint8Array | undefined): Readonly<Record<number, number>> {
  if (value === undefined) return NO_PROPERTIES;
  const properties: Record<number, number> = {};
  const attributes = decodeAttributes(value);
  for (const type of attributes.keys()) {
    const number = type === RTAX_CC_ALGO ? undefined : attributeNumber(attributes, type);
    if (number !== undefined) properties[type] = number;
  }
  return properties;
}

const NO_PROPERTIES: Readonly<Record<number, number>> = {};

function gatewayAttributes(family: Family, nexthop: Nexthop): Attribute[] {
  if (nexthop.gateway === "") return [];
  const bytes = addressBytes(nexthop.gateway);
  if (bytes.length === maxPrefix(family) / 8) return [[RTA_GATEWAY, bytes]];
  // struct rtvia: a 16-bit address family, then the address
  const via = new Uint8Array(2 + bytes.length);
  viewOf(via).setUint16(0, familyNumber(bytes.length === 4 ? 4 : 6), LITTLE_ENDIAN);
  via.set(bytes, 2);
  return [[RTA_VIA, via]];
}

/** An array of struct rtnexthop, each with attributes. */
function encodeNexthops(route: Route): Uint8Array {
  const parts = route.nexthops.flatMap((nexthop) => {
    const attributes = encodeAttributes(gatewayAttributes(route.family, nexthop));
    const header = new Uint8Array(NEXTHOP_HEADER_LENGTH);
    const view = viewOf(header);
    view.setUint16(0, NEXTHOP_HEADER_LENGTH + attributes.length, LITTLE_ENDIAN);
    view.setUint8(2, nexthop.onlink ? RTNH_F_ONLINK : 0);
    view.setUint8(3, nexthop.weight - 1);
    view.setUint32(4, nexthop.interfaceIndex, LITTLE_ENDIAN);
    return [...header, ...attributes];
  });
  return Uint8Array.from(parts);
}

/** Empty for a route without an interface, such as a blackhole. */
function decodeNexthops(attributes: Attributes, family: Family, flags: number): Nexthop[] | undefined {
  const several = attributes.get(RTA_MULTIPATH);
  if (several !== undefined) return decodeMultipath(several, family);
  if (attributes.has(RTA_ENCAP)) return undefined;
  const interfaceIndex = attributeNumber(attributes, RTA_OIF);
  if (interfaceIndex === undefined) return [];
  const gateway = gatewayText(attributes, family);
  if (gateway === undefined) return undefined;
  return [{ interfaceIndex, gateway, weight: 1, onlink: (flags & RTNH_F_ONLINK) !== 0 }];
}

function decodeMultipath(bytes: Uint8Array, family: Family): Nexthop[] | undefined {
  const view = viewOf(bytes);
  const nexthops: Nexthop[] = [];
  for (let at = 0; at + NEXTHOP_HEADER_LENGTH <= bytes.length;) {
    const length = view.getUint16(at, LITTLE_ENDIAN);
    if (length < NEXTHOP_HEADER_LENGTH || length > bytes.length - at) return undefined;
    const attributes = decodeAttributes(bytes.subarray(at + NEXTHOP_HEADER_LENGTH, at + length));
    const gateway = gatewayText(attributes, family);
    if (gateway === undefined || attributes.has(RTA_ENCAP)) return undefined;
    nexthops.push({
      interfaceIndex: view.getUint32(at + 4, LITTLE_ENDIAN),
      gateway,
      weight: view.getUint8(at + 3) + 1,
      onlink: (view.getUint8(at + 2) & RTNH_F_ONLINK) !== 0,
    });
    at += (length + 3) & ~3;
  }
  // Alone, the weight means nothing, and it is not sent.
  return nexthops.length === 1 ? [{ ...nexthops[0], weight: 1 }] : nexthops;
}

/** Empty without a gateway, undefined for a malformed one. */
function gatewayText(attributes: Attributes, family: Family): string | undefined {
  const gateway = attributes.get(RTA_GATEWAY);
  if (gateway !== undefined) return addressText(gateway, family);
  const via = attributes.get(RTA_VIA);
  if (via === undefined) return "";
  const viaFamily = via.length < 2 ? undefined : familyOf(viewOf(via).getUint16(0, LITTLE_ENDIAN));
  return viaFamily === undefined ? undefined : addressText(via.subarray(2), viaFamily);
}
