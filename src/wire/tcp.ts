/**
 * TCP header (RFC 9293 section 3.1). Big-endian.
 *
 *    0       4       8              16                      31
 *   |          source port          |    destination port   |
 *   |                    sequence number                    |
 *   |                 acknowledgment number                 |
 *   | offset|  res  |     flags     |        window         |
 *   |           checksum            |    urgent pointer     |
 *   |               options, data offset permitting         |
 */
const SOURCE_PORT = 0;
const DESTINATION_PORT = 2;
const SEQUENCE = 4;
const ACKNOWLEDGMENT = 8;
const DATA_OFFSET = 12;
const FLAGS = 13;
const WINDOW = 14;
const URGENT = 18;

/** Bytes in a header without options. */
export const TCP_LENGTH = 20;
/** Where the checksum is in a header. */
export const TCP_CHECKSUM = 16;

/** Control bits. */
export const TcpFlag = { Fin: 1, Syn: 2, Rst: 4, Psh: 8, Ack: 16, Urg: 32, Ece: 64, Cwr: 128 } as const;

/** Tells whether `[at, end)` holds a whole header with its options, so that every getter below stays in bounds. */
export const isTcpValid = (view: DataView, at: number, end: number): boolean =>
  end - at >= TCP_LENGTH && tcpHeaderLength(view, at) >= TCP_LENGTH && tcpHeaderLength(view, at) <= end - at;

export const tcpSourcePort = (view: DataView, at: number): number => view.getUint16(at + SOURCE_PORT);
export const tcpDestinationPort = (view: DataView, at: number): number =>
  view.getUint16(at + DESTINATION_PORT);
export const tcpSequence = (view: DataView, at: number): number => view.getUint32(at + SEQUENCE);
export const tcpAcknowledgment = (view: DataView, at: number): number => view.getUint32(at + ACKNOWLEDGMENT);
/** Bytes in this header, options included. */
export const tcpHeaderLength = (view: DataView, at: number): number =>
  (view.getUint8(at + DATA_OFFSET) >>> 4) << 2;
/** Bits of TcpFlag. */
export const tcpFlags = (view: DataView, at: number): number => view.getUint8(at + FLAGS);
/** As sent, not scaled. */
export const tcpWindow = (view: DataView, at: number): number => view.getUint16(at + WINDOW);

/** Writes a header with checksum 0; `headerLength` in bytes, a multiple of 4, with the options to come. */
export function writeTcp(
  view: DataView,
  at: number,
  source: number,
  destination: number,
  sequence: number,
  acknowledgment: number,
  headerLength: number,
  flags: number,
  window: number,
): void {
  view.setUint16(at + SOURCE_PORT, source);
  view.setUint16(at + DESTINATION_PORT, destination);
  view.setUint32(at + SEQUENCE, sequence);
  view.setUint32(at + ACKNOWLEDGMENT, acknowledgment);
  view.setUint8(at + DATA_OFFSET, headerLength << 2);
  view.setUint8(at + FLAGS, flags);
  view.setUint16(at + WINDOW, window);
  view.setUint16(at + TCP_CHECKSUM, 0);
  view.setUint16(at + URGENT, 0);
}

/** Stores a checksum. */
export const setTcpChecksum = (view: DataView, at: number, value: number): void =>
  view.setUint16(at + TCP_CHECKSUM, value);
