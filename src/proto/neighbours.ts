/**
 * Whose MAC address a frame to the container has, and what the container is told of its neighbours: that of the host's
 * neighbour, of the host's router for what is behind it, and ours for all else. The host's kernel is asked when it
 * matters, and what it says counts for a second; flows keep it until something of the host changes. To whichever MAC
 * address the container sends, all of it comes to us.
 */
import { copyIp, isIpv4, isLinkLocal, MAC_LENGTH, sameIp } from "../base/address.ts";
import { flowAt, SideWord } from "../flow/table.ts";
import { familyRules, meansUs } from "../forward/address-rules.ts";
import type { Net } from "./net.ts";

/** Addresses whose MAC address is remembered. */
const SLOTS = 512;
/** How long an answer of the host's counts. */
const FRESH_MS = 1_000;
/** MAC addresses that flows can have at a time; more stations than that are behind ours. */
const MACS_MAX = 1_024;
/** Addresses that the container was told the MAC address of last, which are put right when that changes. */
const TOLD_MAX = 64;

/** Indexes of MAC addresses: not known, for which ours stands in; ours for good; from here on those of `#macs`. */
const UNKNOWN = 0;
const OURS = 1;
const FIRST = 2;

/** Gets each address that the container has a wrong MAC address of. */
export type Correct = (words: Uint32Array, at: number, mac: Uint8Array) => void;

export class Neighbours {
  readonly #net: Net;
  /** Those from FIRST on, and each one's index by its value. */
  #macs: Uint8Array[] = [];
  readonly #indexes = new Map<number, number>();
  /** What has been asked: four words of the address, the MAC address and until when it counts. */
  readonly #addresses = new Uint32Array(4 * SLOTS);
  readonly #answers = new Uint16Array(SLOTS);
  readonly #freshUntil = new Float64Array(SLOTS);
  /** What the container was told, a ring. */
  readonly #told = new Uint32Array(4 * TOLD_MAX);
  readonly #toldMac = new Uint16Array(TOLD_MAX);
  readonly #isWrong = new Uint8Array(TOLD_MAX);
  #toldCount = 0;
  #toldNext = 0;
  #areWrong = false;
  readonly #hop = new Uint32Array(4);
  readonly #mac = new Uint8Array(MAC_LENGTH);

  constructor(net: Net) {
    this.#net = net;
  }

  /** The MAC address that frames on the TAP side at `words` of `flows.sides` come from. Not to be kept. */
  ofSide(words: number): Uint8Array {
    const { flows } = this.#net;
    const flow = flowAt(words);
    // A mere tuple has no place to note it.
    if (flow === flows.capacity) return this.of(flows.sides, words + SideWord.Ours);
    if (flows.mac[flow] === UNKNOWN) flows.mac[flow] = this.#indexOf(flows.sides, words + SideWord.Ours);
    return this.#macAt(flows.mac[flow]);
  }

  /** The MAC address of an address, as the container sees it. Not to be kept. */
  of(words: Uint32Array, at: number): Uint8Array {
    return this.#macAt(this.#indexOf(words, at));
  }

  /** The same; the container is about to be told. */
  tell(words: Uint32Array, at: number): Uint8Array {
    const index = this.#indexOf(words, at);
    let told = this.#toldAt(words, at);
    if (told === -1) {
      told = this.#toldNext;
      this.#toldNext = (told + 1) % TOLD_MAX;
      this.#toldCount = Math.min(this.#toldCount + 1, TOLD_MAX);
      copyIp(this.#told, 4 * told, words, at);
    }
    this.#toldMac[told] = Math.max(index, OURS);
    this.#isWrong[told] = 0;
    // Whom the container asks for, the host is about to ask for as well.
    if (index === UNKNOWN) this.#freshUntil[slotOf(words, at)] = 0;
    return this.#macAt(index);
  }

  /** Something of the host has changed: everybody is asked for again, and those whom the container knows at once. */
  askAgain(): void {
    this.#freshUntil.fill(0);
    this.#net.flows.mac.fill(UNKNOWN);
    if (this.#macs.length === MACS_MAX) {
      this.#macs = [];
      this.#indexes.clear();
      this.#toldCount = this.#toldNext = 0;
    }
    for (let i = 0; i < this.#toldCount; i++) this.#indexOf(this.#told, 4 * i);
  }

  /** Hands out what the container was told and what turned out to be otherwise; then it counts as told. */
  correct(handle: Correct): void {
    if (!this.#areWrong) return;
    this.#areWrong = false;
    for (let i = 0; i < this.#toldCount; i++) {
      if (this.#isWrong[i] === 0) continue;
      this.#isWrong[i] = 0;
      handle(this.#told, 4 * i, this.#macAt(this.#toldMac[i]));
    }
  }

  #macAt(index: number): Uint8Array {
    return index < FIRST ? this.#net.link.ourMac : this.#macs[index - FIRST];
  }

  #indexOf(words: Uint32Array, at: number): number {
    const slot = this.#freshSlot(words, at);
    if (slot >= 0) return this.#answers[slot];
    const { host, link, rules } = this.#net;
    const v4 = isIpv4(words, at);
    const { neighbourhood } = v4 ? link.v4 : link.v6;
    if (neighbourhood === 0 || meansUs(familyRules(rules, !v4), words, at))
      return this.#note(words, at, OURS);
    // Link-local IPv6 addresses are routed nowhere.
    if (!v4 && isLinkLocal(words, at)) return this.#askMac(words, at, neighbourhood);
    if (!host.findNexthop(words, at, neighbourhood, this.#hop)) return this.#note(words, at, OURS);
    if (sameIp(this.#hop, 0, words, at)) return this.#askMac(words, at, neighbourhood);
    const known = this.#freshSlot(this.#hop, 0);
    const index = known >= 0 ? this.#answers[known] : this.#askRouter(neighbourhood);
    return this.#note(words, at, index);
  }

  /** The MAC address of the router in `#hop`: of ours where the container takes that one for us. */
  #askRouter(neighbourhood: number): number {
    const { rules } = this.#net;
    const isUs = meansUs(familyRules(rules, !isIpv4(this.#hop)), this.#hop, 0);
    return isUs ? this.#note(this.#hop, 0, OURS) : this.#askMac(this.#hop, 0, neighbourhood);
  }

  #askMac(words: Uint32Array, at: number, neighbourhood: number): number {
    const isKnown = this.#net.host.findMac(words, at, neighbourhood, this.#mac);
    return this.#note(words, at, isKnown ? this.#indexOfMac() : UNKNOWN);
  }

  /** The index of the MAC address in `#mac`. */
  #indexOfMac(): number {
    const { guestMac } = this.#net.link;
    let value = 0;
    let isGuest = true;
    for (let i = 0; i < MAC_LENGTH; i++) {
      value = value * 256 + this.#mac[i];
      isGuest &&= this.#mac[i] === guestMac[i];
    }
    // The container would not take frames that seem to come from itself.
    if (isGuest) return OURS;
    const index = this.#indexes.get(value);
    if (index !== undefined) return index;
    if (this.#macs.length === MACS_MAX) return OURS;
    const added = FIRST + this.#macs.length;
    this.#macs.push(this.#mac.slice());
    this.#indexes.set(value, added);
    return added;
  }

  /** Remembers an answer, and whether the container was told another one. */
  #note(words: Uint32Array, at: number, index: number): number {
    const slot = slotOf(words, at);
    copyIp(this.#addresses, 4 * slot, words, at);
    this.#answers[slot] = index;
    this.#freshUntil[slot] = this.#net.host.nowMs + FRESH_MS;
    const told = this.#toldAt(words, at);
    // Where the host has forgotten, or not yet learned, what the container knows is as good.
    if (index === UNKNOWN || told === -1 || this.#toldMac[told] === index) return index;
    this.#toldMac[told] = index;
    this.#isWrong[told] = 1;
    this.#areWrong = true;
    return index;
  }

  /** Where the answer for an address is, or -1. */
  #freshSlot(words: Uint32Array, at: number): number {
    const slot = slotOf(words, at);
    const isFresh = this.#freshUntil[slot] > this.#net.host.nowMs;
    return isFresh && sameIp(this.#addresses, 4 * slot, words, at) ? slot : -1;
  }

  #toldAt(words: Uint32Array, at: number): number {
    for (let i = 0; i < this.#toldCount; i++) if (sameIp(this.#told, 4 * i, words, at)) return i;
    return -1;
  }
}

/** Addresses of one slot take turns; nobody gains more by it than questions to the kernel. */
function slotOf(words: Uint32Array, at: number): number {
  let hash = words[at] ^ words[at + 1];
  hash = Math.imul(hash ^ words[at + 2], 0x9e3779b1) ^ words[at + 3];
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) & (SLOTS - 1);
}
