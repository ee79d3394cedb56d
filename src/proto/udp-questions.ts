/**
 * Questions to the host's resolvers that wait for an answer (RFC 1035). One that is not answered in time, or refused,
 * is asked again of the next resolver, whether or not the container repeats it. The answer is whichever comes first.
 */
import { Count } from "../base/counters.ts";
import { copySide, SIDE_WORDS, SideWord, TARGET, wordsOf, type FlowIndex } from "../flow/table.ts";
import type { Address } from "../forward/address-rules.ts";
import { NO_SERVER, serverBit, type Resolvers } from "../forward/resolvers.ts";
import type { Net } from "./net.ts";

/** Questions that wait at a time at most, and the bytes of each: what is beyond is sent, and not asked again. */
export const QUESTIONS = 1024;
export const QUESTION_LENGTH = 512;

/** How long a resolver may take before the next one is asked too. */
const PATIENCE_MS = 1_000;
/** How long whoever asks waits for an answer: the default of most resolver libraries (resolv.conf(5)). */
const WAIT_MS = 5_000;
/** Questions asked again in one go. */
const ASKED_AT_ONCE = 64;

/* RFC 1035 section 4.1.1. */
const HEADER_LENGTH = 12;
const CODE_AT = 3;
const SERVER_FAILURE = 2;
const NOT_IMPLEMENTED = 4;
const REFUSED = 5;

/**
 * Asks a resolver, by its place in the list, with the bytes at `[at, at + length)`; the answer goes to the TAP side in
 * `flows.key`. False when that cannot be done.
 */
export type Ask = (server: number, at: number, length: number) => boolean;

export class Questions {
  readonly #net: Net;
  readonly #resolvers: Resolvers;
  readonly #ask: Ask;
  /** The list that `#server` and `#asked` are about. */
  #servers: readonly Address[] = [];
  /** All slots; the first `#count` of them are taken. */
  readonly #slots = Uint16Array.from({ length: QUESTIONS }, (_, i) => i);
  #count = 0;
  /** Nothing is due before. */
  #nextAt = Infinity;

  /* Columns, by slot. */
  readonly #sides = new Uint32Array(QUESTIONS * SIDE_WORDS);
  readonly #id = new Uint16Array(QUESTIONS);
  readonly #length = new Uint16Array(QUESTIONS);
  /** The resolver that was asked last and may still answer, or NO_SERVER. */
  readonly #server = new Int8Array(QUESTIONS);
  readonly #askedAt = new Float64Array(QUESTIONS);
  /** Set of those that were asked. */
  readonly #asked = new Uint8Array(QUESTIONS);
  readonly #dueAt = new Float64Array(QUESTIONS);
  readonly #endsAt = new Float64Array(QUESTIONS);

  constructor(net: Net, resolvers: Resolvers, ask: Ask) {
    this.#net = net;
    this.#resolvers = resolvers;
    this.#ask = ask;
  }

  /** Takes note of a question that the container asks; `[at, at + length)` is the message. */
  keep(flow: FlowIndex, at: number, length: number): void {
    if (length < HEADER_LENGTH) return;
    this.#followList();
    const { counters, flows, host, plan } = this.#net;
    const { sides } = flows;
    const id = host.arena.view.getUint16(at);
    // The container repeats what it has asked: we do so already.
    if (this.#find(wordsOf(flow << 1), id) >= 0) return;
    if (length > QUESTION_LENGTH || this.#count === QUESTIONS) return counters.add(Count.dnsNotKept);
    const slot = this.#slots[this.#count++];
    const words = wordsOf(flow << 1);
    copySide(this.#sides, slot * SIDE_WORDS, sides, words);
    host.arena.bytes.copyWithin(plan.questionsAt + slot * QUESTION_LENGTH, at, at + length);
    this.#id[slot] = id;
    this.#length[slot] = length;
    this.#asked[slot] = 0;
    this.#endsAt[slot] = host.nowMs + WAIT_MS;
    this.#noteAsked(slot, this.#serverOf(flow));
  }

  /**
   * Takes note of an answer; the flow asks a resolver. True when that one just cannot tell and the next is asked
   * instead, if that is wanted.
   */
  answered(flow: FlowIndex, at: number, length: number, mayAskNext: boolean): boolean {
    if (length < HEADER_LENGTH) return false;
    this.#followList();
    const { host } = this.#net;
    const { view } = host.arena;
    const server = this.#serverOf(flow);
    if (server !== NO_SERVER) this.#resolvers.heard(server, host.nowMs);
    const place = this.#find(wordsOf(flow << 1), view.getUint16(at));
    if (place < 0) return false;
    const slot = this.#slots[place];
    const code = view.getUint8(at + CODE_AT) & 0xf;
    const cannotTell = code === SERVER_FAILURE || code === NOT_IMPLEMENTED || code === REFUSED;
    const next = this.#resolvers.nextWorking(this.#asked[slot], host.nowMs);
    if (cannotTell && mayAskNext && next !== NO_SERVER) {
      this.#askSoon(slot);
      return true;
    }
    this.#remove(place);
    return false;
  }

  /** The resolver that the flow asks is out of reach. True when others are asked what it was asked. */
  refused(flow: FlowIndex): boolean {
    this.#followList();
    const { nowMs } = this.#net.host;
    const server = this.#serverOf(flow);
    if (server !== NO_SERVER) this.#resolvers.failed(server, nowMs);
    const words = wordsOf(flow << 1);
    let areOthersAsked = false;
    for (let place = this.#count - 1; place >= 0; place--) {
      const slot = this.#slots[place];
      if (this.#server[slot] !== server || !this.#isFrom(slot, words)) continue;
      if (this.#resolvers.next(this.#asked[slot], nowMs) === NO_SERVER) this.#remove(place);
      else {
        this.#askSoon(slot);
        areOthersAsked = true;
      }
    }
    return areOthersAsked;
  }

  /** Asks what is due. */
  expire(): void {
    this.#followList();
    const { nowMs } = this.#net.host;
    if (nowMs < this.#nextAt) return;
    let budget = ASKED_AT_ONCE;
    for (let place = this.#count - 1; place >= 0 && budget > 0; place--) {
      if (this.#dueAt[this.#slots[place]] > nowMs) continue;
      this.#due(place);
      budget--;
    }
    this.#nextAt = Infinity;
    for (let place = 0; place < this.#count; place++) {
      this.#nextAt = Math.min(this.#nextAt, this.#dueAt[this.#slots[place]]);
    }
  }

  /** Milliseconds until `expire` has something to do, or -1. */
  nextDelay(): number {
    if (this.#count === 0) return -1;
    if (this.#net.rules.dnsServers !== this.#servers) return 0;
    return Math.max(0, Math.ceil(this.#nextAt - this.#net.host.nowMs));
  }

  #due(place: number): void {
    const { counters, flows, host, plan } = this.#net;
    const slot = this.#slots[place];
    const silent = this.#server[slot];
    if (silent !== NO_SERVER) this.#resolvers.failed(silent, host.nowMs, this.#askedAt[slot]);
    if (host.nowMs >= this.#endsAt[slot]) return this.#remove(place);
    const next = this.#resolvers.next(this.#asked[slot], host.nowMs);
    this.#noteAsked(slot, next);
    if (next === NO_SERVER) return;
    counters.add(Count.dnsAskedAgain);
    copySide(flows.key, 0, this.#sides, slot * SIDE_WORDS);
    if (this.#ask(next, plan.questionsAt + slot * QUESTION_LENGTH, this.#length[slot])) return;
    this.#resolvers.failed(next, host.nowMs);
    this.#askSoon(slot);
  }

  /** Notes whom a question has been asked now: nobody when there is nobody left, and only another list can help. */
  #noteAsked(slot: number, server: number): void {
    const { nowMs } = this.#net.host;
    this.#server[slot] = server;
    this.#askedAt[slot] = nowMs;
    if (server !== NO_SERVER) this.#asked[slot] |= serverBit(server);
    const patience = server === NO_SERVER ? WAIT_MS : PATIENCE_MS;
    this.#dueAt[slot] = Math.min(nowMs + patience, this.#endsAt[slot]);
    this.#nextAt = Math.min(this.#nextAt, this.#dueAt[slot]);
  }

  /** Has the next resolver asked at the beginning of the next cycle, when nothing else is under way. */
  #askSoon(slot: number): void {
    this.#server[slot] = NO_SERVER;
    this.#dueAt[slot] = this.#net.host.nowMs;
    this.#nextAt = this.#dueAt[slot];
  }

  /** Once there is another list, whatever was asked of others is asked of those on it. */
  #followList(): void {
    const before = this.#servers;
    const { dnsServers } = this.#net.rules;
    if (dnsServers === before) return;
    this.#servers = dnsServers;
    for (let place = 0; place < this.#count; place++) {
      const slot = this.#slots[place];
      const old = this.#server[slot];
      const server = old === NO_SERVER ? NO_SERVER : this.#resolvers.indexOf(before[old], 0);
      this.#asked[slot] = server === NO_SERVER ? 0 : serverBit(server);
      if (server === NO_SERVER) this.#askSoon(slot);
      else this.#server[slot] = server;
    }
  }

  #serverOf(flow: FlowIndex): number {
    return this.#resolvers.indexOf(this.#net.flows.sides, wordsOf((flow << 1) | TARGET) + SideWord.Endpoint);
  }

  /** Place of the question with this identifier from the side whose words start at `words`, or -1. */
  #find(words: number, id: number): number {
    for (let place = 0; place < this.#count; place++) {
      const slot = this.#slots[place];
      if (this.#id[slot] === id && this.#isFrom(slot, words)) return place;
    }
    return -1;
  }

  #isFrom(slot: number, words: number): boolean {
    const { sides } = this.#net.flows;
    for (let i = SIDE_WORDS - 1; i >= 0; i--) {
      if (this.#sides[slot * SIDE_WORDS + i] !== sides[words + i]) return false;
    }
    return true;
  }

  #remove(place: number): void {
    const last = --this.#count;
    const slot = this.#slots[place];
    this.#slots[place] = this.#slots[last];
    this.#slots[last] = slot;
  }
}
