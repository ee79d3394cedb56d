/**
 * Reassembly of fragmented packets of both families (RFC 791, RFC 8200 section 4.5), within fixed bounds: packets
 * in progress, bytes of each, and time. The memory is a range of the arena that is used only while there are
 * fragments.
 */
import { Count } from "../base/counters.ts";
import { MAPPED } from "../flow/table.ts";
import {
  IPV4_LENGTH,
  ipv4Destination,
  ipv4FragmentOffset,
  ipv4HeaderLength,
  ipv4Id,
  ipv4MoreFragments,
  ipv4Protocol,
  ipv4Source,
  ipv4Ttl,
  writeIpv4,
} from "../wire/ipv4.ts";
import {
  IPV6_FRAGMENT_LENGTH,
  ipv6FragmentId,
  ipv6FragmentNextHeader,
  ipv6FragmentOffset,
  ipv6MoreFragments,
} from "../wire/ipv6-extensions.ts";
import { IPV6_DESTINATION, IPV6_LENGTH, IPV6_SOURCE, ipv6HopLimit, writeIpv6 } from "../wire/ipv6.ts";
import type { Fragments } from "./input.ts";
import type { Net } from "./net.ts";

/** Packets in progress at most. */
export const FRAGMENT_SLOTS = 64;
/** Room for headers, and for what the length of an IP packet can count; whole pages. */
export const FRAGMENT_SLOT_LENGTH = 68 * 1024;
/** Room for headers in front of the payload. */
const HEADROOM = 64;
/** How long the fragments of a packet may take to come (RFC 8200 wants 60 s, Linux takes 30). */
const TIMEOUT_MS = 30_000;
/** How long memory without fragments is kept. */
const KEEP_MS = 5_000;
/** Separate pieces of one packet; more can only be disorder on purpose. */
const PIECES = 32;

/** Words that tell packets apart: source, destination, identification, and the protocol for IPv4. */
const KEY_WORDS = 10;
const DESTINATION = 4;
const ID = 8;
const PROTOCOL = 9;
const ANY_PROTOCOL = 0x100;
/** Flags and fragment offset of an IPv4 header. */
const IPV4_FRAGMENT_FIELD = 6;

const Slot = { Free: 0, Collecting: 1, Complete: 2 } as const;
const UNKNOWN = -1;

/** Gets the whole packet in `[at, end)`, with a header that knows no fragments. Valid until `endOfFrames`. */
export type Reassembled = (at: number, end: number, v6: boolean) => void;

export class Fragmentation implements Fragments {
  readonly #net: Net;
  readonly #view: DataView;
  readonly #deliver: Reassembled;
  readonly #slots: number;
  /** The key of the fragment at hand. */
  readonly #key = new Uint32Array(KEY_WORDS);

  /* Columns, by slot. */
  readonly #state = new Uint8Array(FRAGMENT_SLOTS);
  readonly #keys = new Uint32Array(FRAGMENT_SLOTS * KEY_WORDS);
  readonly #deadline = new Float64Array(FRAGMENT_SLOTS);
  /** Payload bytes of the packet, or UNKNOWN before its last fragment. */
  readonly #total = new Int32Array(FRAGMENT_SLOTS);
  /** Of the first fragment. */
  readonly #hopLimit = new Uint8Array(FRAGMENT_SLOTS);
  readonly #protocol = new Uint8Array(FRAGMENT_SLOTS);
  /** The pieces there are, none next to another: where they start and end in the payload. */
  readonly #pieces = new Uint8Array(FRAGMENT_SLOTS);
  readonly #starts = new Uint32Array(FRAGMENT_SLOTS * PIECES);
  readonly #ends = new Uint32Array(FRAGMENT_SLOTS * PIECES);

  #collecting = 0;
  #complete = 0;
  /** Slots up to this one have memory. */
  #dirty = 0;
  #usedAt = 0;

  constructor(net: Net, deliver: Reassembled) {
    this.#net = net;
    this.#view = net.host.arena.view;
    this.#deliver = deliver;
    this.#slots = Math.min(FRAGMENT_SLOTS, Math.floor(net.plan.fragmentsLength / FRAGMENT_SLOT_LENGTH));
  }

  input(ipAt: number, end: number, fragmentAt: number): void {
    const view = this.#view;
    if (fragmentAt >= 0) {
      const dataAt = fragmentAt + IPV6_FRAGMENT_LENGTH;
      const offset = ipv6FragmentOffset(view, fragmentAt);
      const protocol = ipv6FragmentNextHeader(view, fragmentAt);
      this.#readKey6(ipAt, fragmentAt);
      const more = ipv6MoreFragments(view, fragmentAt);
      return this.#add(dataAt, end - dataAt, offset, more, protocol, ipv6HopLimit(view, ipAt));
    }
    const dataAt = ipAt + ipv4HeaderLength(view, ipAt);
    this.#readKey4(ipAt);
    this.#add(
      dataAt,
      end - dataAt,
      ipv4FragmentOffset(view, ipAt),
      ipv4MoreFragments(view, ipAt),
      ipv4Protocol(view, ipAt),
      ipv4Ttl(view, ipAt),
    );
  }

  /** Takes back the memory of the packets delivered in this batch. */
  endOfFrames(): void {
    if (this.#complete === 0) return;
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#state[slot] === Slot.Complete) this.#state[slot] = Slot.Free;
    }
    this.#complete = 0;
  }

  /** Gives up packets whose time is over, and memory that is not used any more. */
  expire(): void {
    if (this.#dirty === 0) return;
    const { counters, host, plan } = this.#net;
    const { nowMs } = host;
    for (let slot = 0; slot < this.#dirty && this.#collecting > 0; slot++) {
      if (this.#state[slot] !== Slot.Collecting || nowMs < this.#deadline[slot]) continue;
      this.#free(slot);
      counters.add(Count.dropFragmentTimeout);
    }
    if (this.#collecting > 0 || nowMs < this.#usedAt + KEEP_MS) return;
    host.release(plan.fragmentsAt, this.#dirty * FRAGMENT_SLOT_LENGTH);
    this.#dirty = 0;
  }

  /** Milliseconds until `expire` has something to do, or -1. */
  nextDelay(): number {
    if (this.#dirty === 0) return -1;
    let next = this.#collecting > 0 ? Infinity : this.#usedAt + KEEP_MS;
    for (let slot = 0; slot < this.#dirty && this.#collecting > 0; slot++) {
      if (this.#state[slot] === Slot.Collecting) next = Math.min(next, this.#deadline[slot]);
    }
    return Math.max(0, Math.ceil(next - this.#net.host.nowMs));
  }

  #readKey4(ipAt: number): void {
    const key = this.#key.fill(0);
    key[2] = key[DESTINATION + 2] = MAPPED;
    key[3] = ipv4Source(this.#view, ipAt);
    key[DESTINATION + 3] = ipv4Destination(this.#view, ipAt);
    key[ID] = ipv4Id(this.#view, ipAt);
    key[PROTOCOL] = ipv4Protocol(this.#view, ipAt);
  }

  #readKey6(ipAt: number, fragmentAt: number): void {
    const key = this.#key;
    for (let i = 0; i < 4; i++) {
      key[i] = this.#view.getUint32(ipAt + IPV6_SOURCE + 4 * i);
      key[DESTINATION + i] = this.#view.getUint32(ipAt + IPV6_DESTINATION + 4 * i);
    }
    key[ID] = ipv6FragmentId(this.#view, fragmentAt);
    key[PROTOCOL] = ANY_PROTOCOL;
  }

  /** Takes the fragment `[dataAt, dataAt + length)` of the packet in `#key`; it belongs at `offset`. */
  #add(
    dataAt: number,
    length: number,
    offset: number,
    more: boolean,
    protocol: number,
    hopLimit: number,
  ): void {
    const { counters, host } = this.#net;
    const v6 = this.#key[PROTOCOL] === ANY_PROTOCOL;
    const most = v6 ? 65_535 : 65_535 - IPV4_LENGTH;
    // Only the last fragment may have a length that is not one of 8 bytes.
    if (length === 0 || (more && length % 8 !== 0) || offset + length > most) {
      return counters.add(Count.dropFragmentBad);
    }
    let slot = this.#find();
    if (slot < 0) slot = this.#take();
    if (slot < 0) return counters.add(Count.dropFragmentLimit);
    if (!this.#isConsistent(slot, offset, offset + length, more)) {
      this.#free(slot);
      return counters.add(Count.dropFragmentBad);
    }
    // Not part of what there is, or else a copy: that is no harm, and changes nothing.
    if (!this.#insertPiece(slot, offset, offset + length)) return;
    if (!more) this.#total[slot] = offset + length;
    if (offset === 0) {
      this.#protocol[slot] = protocol;
      this.#hopLimit[slot] = hopLimit;
    }
    const at = this.#payloadAt(slot);
    host.arena.bytes.copyWithin(at + offset, dataAt, dataAt + length);
    const pieces = slot * PIECES;
    const whole = this.#pieces[slot] === 1 && this.#starts[pieces] === 0;
    if (whole && this.#ends[pieces] === this.#total[slot]) this.#finish(slot, v6);
  }

  /** The slot of the packet in `#key`, or -1. */
  #find(): number {
    for (let slot = 0; slot < this.#dirty; slot++) {
      if (this.#state[slot] === Slot.Collecting && this.#hasKey(slot)) return slot;
    }
    return -1;
  }

  #hasKey(slot: number): boolean {
    const at = slot * KEY_WORDS;
    for (let i = KEY_WORDS - 1; i >= 0; i--) if (this.#keys[at + i] !== this.#key[i]) return false;
    return true;
  }

  /** A slot for the packet in `#key`, or -1 when all are in use. */
  #take(): number {
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#state[slot] !== Slot.Free) continue;
      this.#state[slot] = Slot.Collecting;
      this.#keys.set(this.#key, slot * KEY_WORDS);
      this.#deadline[slot] = this.#net.host.nowMs + TIMEOUT_MS;
      this.#total[slot] = UNKNOWN;
      this.#pieces[slot] = 0;
      this.#collecting++;
      this.#dirty = Math.max(this.#dirty, slot + 1);
      this.#usedAt = this.#net.host.nowMs;
      return slot;
    }
    return -1;
  }

  #free(slot: number): void {
    this.#state[slot] = Slot.Free;
    this.#collecting--;
  }

  /**
   * Tells whether the piece `[start, end)` fits those there are: it ends where the packet may end, and overlaps
   * none of them but one that has all of it. Anything else is an attempt to say two things at once (RFC 5722).
   */
  #isConsistent(slot: number, start: number, end: number, more: boolean): boolean {
    const total = this.#total[slot];
    if (total !== UNKNOWN && (more ? end > total : end !== total)) return false;
    const first = slot * PIECES;
    const last = first + this.#pieces[slot];
    for (let i = first; i < last; i++) {
      if (!more && this.#ends[i] > end) return false;
      const apart = end <= this.#starts[i] || start >= this.#ends[i];
      const copy = start >= this.#starts[i] && end <= this.#ends[i];
      if (!apart && !copy) return false;
    }
    return true;
  }

  /** Notes a consistent piece. False when it was there already, or is one too many. */
  #insertPiece(slot: number, start: number, end: number): boolean {
    const first = slot * PIECES;
    let last = first + this.#pieces[slot];
    let from = start;
    let to = end;
    for (let i = first; i < last; i++) {
      if (from >= this.#starts[i] && to <= this.#ends[i]) return false;
      if (to !== this.#starts[i] && from !== this.#ends[i]) continue;
      // Its neighbour: both become one piece, which takes the place of neither yet.
      from = Math.min(from, this.#starts[i]);
      to = Math.max(to, this.#ends[i]);
      last--;
      this.#starts[i] = this.#starts[last];
      this.#ends[i] = this.#ends[last];
      i--;
    }
    if (last - first === PIECES) {
      this.#net.counters.add(Count.dropFragmentBad);
      return false;
    }
    this.#starts[last] = from;
    this.#ends[last] = to;
    this.#pieces[slot] = last - first + 1;
    return true;
  }

  #finish(slot: number, v6: boolean): void {
    const view = this.#view;
    const total = this.#total[slot];
    const payloadAt = this.#payloadAt(slot);
    const words = slot * KEY_WORDS;
    const keys = this.#keys;
    const protocol = this.#protocol[slot];
    const hops = this.#hopLimit[slot];
    this.#state[slot] = Slot.Complete;
    this.#collecting--;
    this.#complete++;
    this.#net.counters.add(Count.fragmentsReassembled);
    if (v6) {
      const at = payloadAt - IPV6_LENGTH;
      writeIpv6(view, at, total, protocol, hops, keys, words, keys, words + DESTINATION);
      return this.#deliver(at, payloadAt + total, true);
    }
    const at = payloadAt - IPV4_LENGTH;
    const length = IPV4_LENGTH + total;
    writeIpv4(view, at, length, protocol, hops, keys[words + 3], keys[words + DESTINATION + 3]);
    // Who sends fragments does not mind them.
    view.setUint16(at + IPV4_FRAGMENT_FIELD, 0);
    this.#deliver(at, payloadAt + total, false);
  }

  #payloadAt(slot: number): number {
    return this.#net.plan.fragmentsAt + slot * FRAGMENT_SLOT_LENGTH + HEADROOM;
  }
}
