/**
 * TCP options (RFC 9293 section 3.2, RFC 7323, RFC 2018): kind, length of the whole option, value; the kinds
 * End and Nop are a single byte. Everywhere `at` is the start of a header that passed `isTcpValid`.
 */
import { TCP_LENGTH, tcpHeaderLength } from "./tcp.ts";

/** Kinds of options (IANA, TCP option kind numbers). */
export const TcpOption = {
  End: 0,
  Nop: 1,
  Mss: 2,
  WindowScale: 3,
  SackPermitted: 4,
  Sack: 5,
  Timestamps: 8,
} as const;

/** Bytes that `writeMss` and `writeWindowScale` write. */
export const MSS_LENGTH = 4;
export const WINDOW_SCALE_LENGTH = 4;

/** Maximum segment size in bytes, or -1 when absent. */
export function tcpMss(view: DataView, at: number): number {
  const option = findOption(view, at, TcpOption.Mss, 4);
  return option === -1 ? -1 : view.getUint16(option + 2);
}

/** Window scale shift as sent, which may exceed the 14 that RFC 7323 allows, or -1 when absent. */
export function tcpWindowScale(view: DataView, at: number): number {
  const option = findOption(view, at, TcpOption.WindowScale, 3);
  return option === -1 ? -1 : view.getUint8(option + 2);
}

/** Tells whether the sender takes selective acknowledgments. */
export const tcpSackPermitted = (view: DataView, at: number): boolean =>
  findOption(view, at, TcpOption.SackPermitted, 2) !== -1;

/** Writes the maximum segment size: 4 bytes. */
export function writeMss(view: DataView, at: number, mss: number): void {
  view.setUint16(at, (TcpOption.Mss << 8) | 4);
  view.setUint16(at + 2, mss);
}

/** Writes the window scale behind a Nop: 4 bytes. */
export function writeWindowScale(view: DataView, at: number, shift: number): void {
  view.setUint16(at, (TcpOption.Nop << 8) | TcpOption.WindowScale);
  view.setUint16(at + 2, (3 << 8) | shift);
}

/** Start of the first option of this kind and length, or -1. A malformed option ends the search. */
function findOption(view: DataView, at: number, kind: number, length: number): number {
  const end = at + tcpHeaderLength(view, at);
  let option = at + TCP_LENGTH;
  while (option < end) {
    const found = view.getUint8(option);
    if (found === TcpOption.End) return -1;
    if (found === TcpOption.Nop) {
      option++;
      continue;
    }
    const foundLength = option + 1 < end ? view.getUint8(option + 1) : 0;
    if (foundLength < 2 || option + foundLength > end) return -1;
    if (found === kind && foundLength === length) return option;
    option += foundLength;
  }
  return -1;
}
