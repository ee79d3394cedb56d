/** Packet scripts as data: what README.md describes, line by line. */

/** When a line happens: right after the line before, with it in one batch, or at a time in milliseconds. */
export type Time = { kind: "now" | "same-batch" } | { kind: "after" | "at"; ms: number };

/** A TCP segment; numbers are relative to the initial sequence numbers. What is undefined is not compared. */
export interface Segment {
  kind: "tcp";
  /** Letters in any order, as in packetdrill: SFRP.UEW, or "-" for none. */
  flags: string;
  sequence: number;
  length: number;
  ack: number | undefined;
  window: number | undefined;
  options: string;
  gso: number;
}

/** A UDP datagram, or with `segment` > 0 a train of datagrams of that many bytes. */
export interface Datagram {
  kind: "udp";
  length: number;
  segment: number;
}

/** Anything else: words for a packet into the TAP, a description for one out of it. */
export interface Other {
  kind: "other";
  text: string;
}

export interface Packet {
  body: Segment | Datagram | Other;
  /** Payload, when it is not the usual pattern. */
  literal: string | undefined;
  /** Each with its arguments: `ttl 1` is ["ttl", "1"]. */
  modifiers: string[][];
}

/** A flow's socket; a spliced flow has two, towards the client and towards the server. */
export type Who = "host" | "client" | "server";

export type Action =
  | { kind: "config"; words: string[] }
  | { kind: "flow"; flow: FlowLine }
  /** A packet into the TAP. */
  | { kind: "input"; flow: string; packet: Packet }
  /** A packet out of the TAP; `result` is that of the write. */
  | { kind: "output"; flow: string; packet: Packet; result: string | undefined }
  /** A call that must be made. */
  | {
      kind: "call";
      who: Who;
      flow: string;
      call: string;
      result: string | undefined;
      literal: string | undefined;
    }
  /** Something that a socket tells. */
  | { kind: "event"; who: Who; flow: string; words: string[]; literal: string | undefined }
  /** The engine ends. */
  | { kind: "end" }
  | { kind: "check"; what: "state" | "drop" | "count"; flow: string; words: string[] };

export interface FlowLine {
  name: string;
  /** The container's end. */
  inside: string;
  insidePort: number;
  outside: string;
  outsidePort: number;
  /** Initial sequence number of the container. */
  isn: number;
}

export interface Line {
  /** "file:line". */
  place: string;
  text: string;
  time: Time;
  action: Action;
}

/** Name of the flow that has none. */
export const DEFAULT_FLOW = "default";

export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

/**
 * Parses the text of a script; throws ScriptError with `file` and the line's number.
 *
 * @param include gives the text for an `include` line
 */
export function parseScript(file: string, text: string, include: (name: string) => string): Line[] {
  const lines: Line[] = [];
  for (const [index, raw] of text.split("\n").entries()) {
    const place = `${file}:${index + 1}`;
    const content = stripComment(raw).trim();
    if (content === "") continue;
    const included = /^include (\S+)$/.exec(content)?.[1];
    if (included !== undefined) {
      lines.push(...parseScript(`${place} include/${included}`, include(included), include));
      continue;
    }
    try {
      lines.push({ place, text: content, ...parseLine(content) });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new ScriptError(`${place}: ${error.message}: ${content}`, { cause: error });
    }
  }
  return lines;
}

/** A comment starts at a `#` that begins a word. */
const stripComment = (line: string): string => line.replace(/(^|\s)#.*$/, "");

function parseLine(content: string): { time: Time; action: Action } {
  const match = /^(?:([+]?[\d.]+|&)\s+)?(\S+)\s*(.*)$/.exec(content);
  if (match === null) throw new SyntaxError("not a line of a script");
  const [, time, verb, rest] = match;
  return { time: parseTime(time), action: parseAction(verb, rest) };
}

function parseTime(text: string | undefined): Time {
  if (text === undefined) return { kind: "now" };
  if (text === "&") return { kind: "same-batch" };
  if (!text.startsWith("+")) return { kind: "at", ms: Number(text) };
  return Number(text) === 0 ? { kind: "now" } : { kind: "after", ms: Number(text) };
}

function parseAction(verb: string, rest: string): Action {
  switch (verb) {
    case "config":
      return { kind: "config", words: words(rest) };
    case "forward":
      return { kind: "config", words: ["forward", ...words(rest)] };
    case "flow":
      return { kind: "flow", flow: parseFlow(rest) };
    case "tap":
      return parseTap(rest);
    case "host":
    case "client":
    case "server":
      return parseHost(verb, rest);
    case "end":
      return { kind: "end" };
    case "state": {
      const parts = words(rest);
      const flow = parts.length > 1 ? (parts.shift() ?? DEFAULT_FLOW) : DEFAULT_FLOW;
      return { kind: "check", what: verb, flow, words: parts };
    }
    case "drop":
    case "count":
      return { kind: "check", what: verb, flow: DEFAULT_FLOW, words: words(rest) };
    default:
      throw new SyntaxError(`unknown kind of line "${verb}"`);
  }
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

function parseFlow(text: string): FlowLine {
  const match = /^(?:(\w+)\s+)?(\S+)\s+(?:->|<-)\s+(\S+)(?:\s+isn\s+(\d+))?$/.exec(text);
  if (match === null) throw new SyntaxError("not a flow");
  const [, name = DEFAULT_FLOW, from, to, isn = "1000"] = match;
  const [inside, insidePort] = parseEnd(from);
  const [outside, outsidePort] = parseEnd(to);
  return { name, inside, insidePort, outside, outsidePort, isn: Number(isn) };
}

/** "address", "address:port" or "[address]:port"; without a port it is 0. */
export function parseEnd(text: string): [address: string, port: number] {
  const match = /^\[(.+)\]:(\d+)$/.exec(text) ?? /^([^:]+):(\d+)$/.exec(text);
  return match === null ? [text, 0] : [match[1], Number(match[2])];
}

function parseTap(text: string): Action {
  const match = /^(?:(\w+)\s+)?([<>])\s+(.*?)(?:\s+=\s+(\w+))?$/.exec(text);
  if (match === null) throw new SyntaxError("not a packet");
  const [, flow = DEFAULT_FLOW, direction, body, result] = match;
  const packet = parsePacket(body);
  return direction === "<" ? { kind: "input", flow, packet } : { kind: "output", flow, packet, result };
}

function parsePacket(text: string): Packet {
  const match = /^(.*?)(?:\s+"(.*)")?(?:\s+\{(.*)\})?$/.exec(text);
  if (match === null) throw new SyntaxError("not a packet");
  const [, body, literal, modifiers = ""] = match;
  return {
    body: parseBody(body),
    literal,
    modifiers: modifiers
      .split(",")
      .map(words)
      .filter((modifier) => modifier.length > 0),
  };
}

function parseBody(text: string): Packet["body"] {
  const tcp =
    /^([SFRPUEW.]+|-)\s+(-?\d+):(-?\d+)\((\d+)\)(?:\s+ack (-?\d+))?(?:\s+win (\d+|\*))?(?:\s+<(.*)>)?(?:\s+gso (\d+))?$/.exec(
      text,
    );
  if (tcp !== null) {
    const [, flags, start, end, length, ack, window, options = "", gso = "0"] = tcp;
    if (Number(end) - Number(start) !== Number(length)) throw new SyntaxError("length is not end - start");
    return {
      kind: "tcp",
      flags,
      sequence: Number(start),
      length: Number(length),
      ack: ack === undefined ? undefined : Number(ack),
      window: window === undefined || window === "*" ? undefined : Number(window),
      options,
      gso: Number(gso),
    };
  }
  const udp = /^udp (\d+)(?:\/(\d+))?$/.exec(text);
  if (udp !== null) return { kind: "udp", length: Number(udp[1]), segment: Number(udp[2] ?? 0) };
  return { kind: "other", text };
}

function parseHost(who: Who, text: string): Action {
  const call = /^(?:(\w+)\s+)?(\w+\([^)]*\))(?:\s+=\s+(\w+))?(?:\s+"(.*)")?$/.exec(text);
  if (call !== null) {
    const [, flow = DEFAULT_FLOW, name, result, literal] = call;
    return { kind: "call", who, flow, call: name, result, literal };
  }
  const match = /^(.*?)(?:\s+"(.*)")?$/.exec(text);
  const parts = words(match?.[1] ?? "");
  const flow = EVENTS.has(parts[0]) ? DEFAULT_FLOW : (parts.shift() ?? "");
  if (!EVENTS.has(parts[0])) throw new SyntaxError("not an event of a socket, nor a call");
  return { kind: "event", who, flow, words: parts, literal: match?.[2] };
}

const EVENTS: ReadonlySet<string> = new Set([
  "accept",
  "at",
  "readable",
  "eof",
  "writable",
  "error",
  "queue",
  "event",
  "reply",
  "urgent",
  "stock",
  "changed",
  "neighbor",
  "now",
]);
