/**
 * Netlink messages and attributes (netlink(7), linux/netlink.h); cold path. Everything is in the byte order of
 * the machine and padded to 4 bytes.
 *
 *    0       4       6        8         12        16
 *   | length | type  | flags | sequence |  port   | body ...        nlmsghdr
 *
 *    0       2       4
 *   | length | type  | value ...                                    nlattr
 *
 * Lengths count the header but not the padding. Decoding never throws: it ends at the first header that does
 * not fit.
 */

/** Byte order of this machine, for the last argument of DataView's methods. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Bytes in a message header. */
export const NETLINK_HEADER_LENGTH = 16;
const ATTRIBUTE_HEADER_LENGTH = 4;
/** Bits of an attribute's type that are not its number: nested, network byte order. */
const ATTRIBUTE_NESTED = 0x8000;
const ATTRIBUTE_TYPE_MASK = 0x3fff;

/** Message types below those of the protocols. */
export const NetlinkType = { Error: 2, Done: 3, Overrun: 4 } as const;

/** Flags of a message; those of "get", "new" and answers share bits. */
export const NetlinkFlag = {
  Request: 0x001,
  Ack: 0x004,
  /** The table changed while it was dumped. */
  DumpInterrupted: 0x010,
  /** The acknowledgement holds only the header of what it answers. */
  Capped: 0x100,
  /** Attributes follow in the acknowledgement. */
  AckAttributes: 0x200,
  Dump: 0x300,
  Replace: 0x100,
  Exclusive: 0x200,
  Create: 0x400,
} as const;

export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  port: number;
  body: Uint8Array;
}

/** An attribute to encode: bytes, an unsigned 32-bit number, text (with a final zero), or a nest of attributes. */
export type AttributeValue = Uint8Array | number | string | readonly Attribute[];
export type Attribute = readonly [type: number, value: AttributeValue];
/** Decoded attributes by type; of several with one type the last. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

/** A view of exactly these bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const align = (length: number): number => (length + 3) & ~3;

export function encodeNetlinkMessage({ type, flags, sequence, port, body }: NetlinkMessage): Uint8Array {
  const length = NETLINK_HEADER_LENGTH + body.length;
  const bytes = new Uint8Array(align(length));
  writeNetlinkHeader(viewOf(bytes), length, type, flags, sequence, port);
  bytes.set(body, NETLINK_HEADER_LENGTH);
  return bytes;
}

/** Writes the header of a message of `length` bytes at the start of a view. */
export function writeNetlinkHeader(
  view: DataView,
  length: number,
  type: number,
  flags: number,
  sequence: number,
  port: number,
): void {
  view.setUint32(0, length, LITTLE_ENDIAN);
  view.setUint16(4, type, LITTLE_ENDIAN);
  view.setUint16(6, flags, LITTLE_ENDIAN);
  view.setUint32(8, sequence, LITTLE_ENDIAN);
  view.setUint32(12, port, LITTLE_ENDIAN);
}

/** Bytes of the message at `at`, its header included. */
export const netlinkLength = (view: DataView, at: number): number => view.getUint32(at, LITTLE_ENDIAN);
export const netlinkType = (view: DataView, at: number): number => view.getUint16(at + 4, LITTLE_ENDIAN);
export const netlinkSequence = (view: DataView, at: number): number => view.getUint32(at + 8, LITTLE_ENDIAN);

/** The messages of one datagram. Their bodies are copies. */
export function decodeNetlinkMessages(bytes: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  forEachNetlinkMessage(bytes, (message) => messages.push({ ...message, body: message.body.slice() }));
  return messages;
}

/** Hands out the messages of one datagram. Their bodies are views of it. */
export function forEachNetlinkMessage(bytes: Uint8Array, handle: (message: NetlinkMessage) => void): void {
  const view = viewOf(bytes);
  for (let at = 0; at + NETLINK_HEADER_LENGTH <= bytes.length;) {
    const length = netlinkLength(view, at);
    if (length < NETLINK_HEADER_LENGTH || length > bytes.length - at) break;
    handle({
      type: netlinkType(view, at),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: netlinkSequence(view, at),
      port: view.getUint32(at + 12, LITTLE_ENDIAN),
      body: bytes.subarray(at + NETLINK_HEADER_LENGTH, at + length),
    });
    at += align(length);
  }
}

/** A fixed header, already padded to 4 bytes, followed by attributes. */
export function encodeBody(header: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  return concatenate([header, encodeAttributes(attributes)]);
}

/** Throws RangeError when a value has more than 65,531 bytes. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  return concatenate(
    attributes.map(([type, value]) => {
      const bytes = valueBytes(value);
      const length = ATTRIBUTE_HEADER_LENGTH + bytes.length;
      if (length > 0xffff) throw new RangeError(`netlink attribute ${type} has ${bytes.length} bytes`);
      const encoded = new Uint8Array(align(length));
      const view = viewOf(encoded);
      view.setUint16(0, length, LITTLE_ENDIAN);
      view.setUint16(2, Array.isArray(value) ? type | ATTRIBUTE_NESTED : type, LITTLE_ENDIAN);
      encoded.set(bytes, ATTRIBUTE_HEADER_LENGTH);
      return encoded;
    }),
  );
}

/** The attributes from `at` to the end. Values are views of `bytes`. */
export function decodeAttributes(bytes: Uint8Array, start = 0): Attributes {
  const view = viewOf(bytes);
  const attributes = new Map<number, Uint8Array>();
  for (let at = start; at + ATTRIBUTE_HEADER_LENGTH <= bytes.length;) {
    const length = view.getUint16(at, LITTLE_ENDIAN);
    if (length < ATTRIBUTE_HEADER_LENGTH || length > bytes.length - at) break;
    const type = view.getUint16(at + 2, LITTLE_ENDIAN) & ATTRIBUTE_TYPE_MASK;
    attributes.set(type, bytes.subarray(at + ATTRIBUTE_HEADER_LENGTH, at + length));
    at += align(length);
  }
  return attributes;
}

/** An unsigned number of 1, 2 or 4 bytes, or undefined when the attribute is absent or has another size. */
export function attributeNumber(attributes: Attributes, type: number): number | undefined {
  const value = attributes.get(type);
  if (value === undefined) return undefined;
  if (value.length === 1) return value[0];
  if (value.length === 2) return viewOf(value).getUint16(0, LITTLE_ENDIAN);
  return value.length === 4 ? viewOf(value).getUint32(0, LITTLE_ENDIAN) : undefined;
}

/** Text up to its first zero byte, or undefined when the attribute is absent. */
export function attributeText(attributes: Attributes, type: number): string | undefined {
  const value = attributes.get(type);
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

function valueBytes(value: AttributeValue): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(`${value}\0`);
  if (typeof value !== "number") return encodeAttributes(value);
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, LITTLE_ENDIAN);
  return bytes;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
