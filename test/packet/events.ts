/** What sockets tell in scripts: bytes, ends, errors. */
import { ErrorOrigin } from "../../src/proto/linux.ts";
import { ip } from "../support/fake-net.ts";
import type { FakeError, FakeSocket } from "../support/fake-socket.ts";
import { errnoOf } from "./errno.ts";
import { streamBytes, TO_CONTAINER, trainBytes } from "./payload.ts";

/** Bits of an event (linux/eventpoll.h). */
const EVENT_BITS: ReadonlyMap<string, number> = new Map([
  ["in", 0x1],
  ["pri", 0x2],
  ["out", 0x4],
  ["err", 0x8],
  ["hup", 0x10],
  ["rdhup", 0x2000],
]);
const [IN, PRI, OUT, ERR, HUP, RDHUP] = [...EVENT_BITS.values()];

/**
 * Changes the socket as the words of an event line say; returns the events that epoll would report.
 *
 * @param bytesFor gives the next bytes of the stream that arrives
 */
export function applyEvent(
  socket: FakeSocket,
  words: readonly string[],
  literal: string | undefined,
  bytesFor: (length: number) => Uint8Array,
): number {
  const [word, ...rest] = words;
  switch (word) {
    case undefined:
      return 0;
    case "readable": {
      const bytes = literal === undefined ? undefined : Buffer.from(literal);
      receive(socket, rest[0], bytes, bytesFor);
      // What comes with it: "readable 5 eof".
      return IN | applyEvent(socket, rest.slice(1), undefined, bytesFor);
    }
    case "eof":
      socket.streamEnded = true;
      return IN | RDHUP | (socket.writeShut ? HUP : 0);
    case "writable":
      return OUT;
    case "urgent":
      socket.urgentAt = socket.stream.length - 1;
      return IN | PRI | applyEvent(socket, rest, undefined, bytesFor);
    case "error":
      socket.breakOff(errnoOf(rest[0]));
      return IN | OUT | ERR | HUP | RDHUP;
    case "queue":
      socket.errors.push(queued(rest));
      return ERR;
    case "reply":
      socket.inbox.push({ bytes: echoReply(socket.v6, rest) });
      return IN;
    case "event":
      return rest.reduce((bits, name) => bits | (EVENT_BITS.get(name) ?? 0), 0);
    default:
      throw new Error(`unknown event "${word}"`);
  }
}

/** Puts `size` bytes, or a datagram or a train "LENGTH/SEGMENT", into the socket. */
function receive(
  socket: FakeSocket,
  size: string,
  bytes: Uint8Array | undefined,
  bytesFor: (length: number) => Uint8Array,
): void {
  const [length, segment = 0] = size.split("/").map(Number);
  if (socket.kind === "tcp") return socket.arrive(bytes ?? bytesFor(length));
  socket.inbox.push({ bytes: bytes ?? trainBytes(length, segment, TO_CONTAINER), segment });
}

/** queue ERRNO icmp|icmp6|local TYPE CODE [from ADDRESS] [info N] [payload N] */
function queued([name, origin, type, code, ...rest]: readonly string[]): FakeError {
  const origins = { icmp: ErrorOrigin.Icmp, icmp6: ErrorOrigin.Icmp6, local: ErrorOrigin.Local };
  const value = (key: string): string | undefined => {
    const at = rest.indexOf(key);
    return at < 0 ? undefined : rest[at + 1];
  };
  const from = value("from");
  return {
    errno: errnoOf(name),
    origin: Object.entries(origins).find(([key]) => key === origin)?.[1] ?? 0,
    type: Number(type),
    code: Number(code),
    info: Number(value("info") ?? 0),
    ...(from === undefined ? {} : { offender: ip(from) }),
    payload: streamBytes(0, Number(value("payload") ?? 0), 1),
  };
}

/** reply seq N length N [type N] */
function echoReply(v6: boolean, words: readonly string[]): Uint8Array {
  const value = (key: string, otherwise: number): number => {
    const at = words.indexOf(key);
    return at < 0 ? otherwise : Number(words[at + 1]);
  };
  const message = new Uint8Array(8 + value("length", 0));
  const sequence = value("seq", 0);
  // The kernel's identifier, which the container must not see.
  message.set([value("type", v6 ? 129 : 0), 0, 0, 0, 0xbe, 0xef, sequence >> 8, sequence & 255]);
  message.set(streamBytes(0, message.length - 8, TO_CONTAINER), 8);
  return message;
}
