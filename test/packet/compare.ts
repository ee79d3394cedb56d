/** Whether a frame out of the TAP is the one that a line expects. */
import { TcpFlag } from "../../src/wire/tcp.ts";
import { streamBytes, TO_CONTAINER, trainBytes } from "./payload.ts";
import type { Bases } from "./packets-in.ts";
import type { Transport } from "./packets-out.ts";
import type { Datagram, Packet, Segment } from "./script.ts";

const LETTERS: readonly (readonly [number, string])[] = [
  [TcpFlag.Fin, "F"],
  [TcpFlag.Syn, "S"],
  [TcpFlag.Rst, "R"],
  [TcpFlag.Psh, "P"],
  [TcpFlag.Ack, "."],
  [TcpFlag.Urg, "U"],
  [TcpFlag.Ece, "E"],
  [TcpFlag.Cwr, "W"],
];

/** Bits of TcpFlag for letters. */
export const flagBits = (letters: string): number =>
  LETTERS.reduce((bits, [bit, letter]) => (letters.includes(letter) ? bits | bit : bits), 0);

/** Tells whether a segment has a flag. */
export const hasFlag = ({ flags }: Segment, letter: string): boolean => flags.includes(letter);

/** A segment in a script's relative numbers. */
export function relativeSegment(actual: Transport, bases: Bases): Segment {
  const letters = LETTERS.filter(([bit]) => (actual.flags & bit) !== 0).map(([, letter]) => letter);
  const acks = (actual.flags & TcpFlag.Ack) !== 0;
  return {
    kind: "tcp",
    flags: letters.join("") || "-",
    sequence: (actual.sequence - bases.ours) | 0,
    length: actual.payload.length,
    ack: acks ? (actual.ack - bases.theirs) | 0 : undefined,
    window: actual.window,
    options: actual.options,
    gso: actual.gso,
  };
}

/** A segment or datagram as a script would have it. */
export function writeBody(body: Segment | Datagram): string {
  if (body.kind === "udp") return `udp ${body.length}${body.segment > 0 ? `/${body.segment}` : ""}`;
  const { sequence, length } = body;
  const ack = body.ack === undefined ? "" : ` ack ${body.ack}`;
  const options = body.options === "" ? "" : ` <${body.options}>`;
  const gso = body.gso > 0 ? ` gso ${body.gso}` : "";
  return `${body.flags} ${sequence}:${sequence + length}(${length})${ack} win ${body.window ?? "*"}${options}${gso}`;
}

/** Tells whether a segment is the expected one, its payload included. */
export function isSegment(expected: Segment, packet: Packet, actual: Segment, payload: Uint8Array): boolean {
  const usual = streamBytes(expected.sequence - 1, expected.length, TO_CONTAINER);
  return (
    flagBits(expected.flags) === flagBits(actual.flags) &&
    expected.sequence === actual.sequence &&
    expected.length === actual.length &&
    expected.ack === actual.ack &&
    (expected.window === undefined || expected.window === actual.window) &&
    sameOptions(expected.options, actual.options) &&
    expected.gso === actual.gso &&
    isPayload(payload, packet.literal, usual)
  );
}

/** The same for a datagram or train. */
export const isDatagram = (expected: Datagram, packet: Packet, actual: Transport): boolean =>
  expected.length === actual.payload.length &&
  expected.segment === actual.gso &&
  isPayload(actual.payload, packet.literal, trainBytes(expected.length, expected.segment, TO_CONTAINER));

/** Tells whether bytes are those of a literal, or without one the usual ones. */
export const isPayload = (bytes: Uint8Array, literal: string | undefined, usual: Uint8Array): boolean =>
  Buffer.compare(bytes, literal === undefined ? usual : Buffer.from(literal)) === 0;

/** Tells whether a text fits a pattern in which `*` stands for anything. */
export function fits(pattern: string, text: string): boolean {
  const escaped = pattern.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll("*", ".*");
  return new RegExp(`^${escaped}$`).test(text);
}

const sameOptions = (a: string, b: string): boolean => withoutPadding(a) === withoutPadding(b);
const withoutPadding = (options: string): string =>
  options
    .split(",")
    .map((option) => option.trim())
    .filter((option) => option !== "nop" && option !== "eol")
    .join(",");
