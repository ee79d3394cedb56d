/**
 * The table of flows: one row for each conversation, as columns of typed arrays. Only this file writes states
 * and sides. Rows never move. A row is built in one go (see state.ts), at most one at a time; it is freed only
 * by `sweep`, at the end of a cycle, so that events already fetched for a closed flow meet no stranger.
 */
import { assert } from "../base/assert.ts";
import { FreeSet } from "./free-set.ts";
import { FlowHash } from "./hash.ts";
import { FlowState, FLOW_STATE_NAMES, FLOW_TRANSITIONS, type FlowType, Pif } from "./state.ts";

/** Row of a flow, 0 to capacity - 1. */
export type FlowIndex = number;
/** A side of a flow: (index << 1) | side, where side 0 initiated it and side 1 is its target. */
export type SideIndex = number;

export const NO_FLOW = -1;
export const INITIATING = 0;
export const TARGET = 1;

/**
 * Words of a side, and of a lookup key. Addresses are 16 bytes as four big-endian words, IPv4 mapped into IPv6.
 * "Ours" is the address and port we play on that side, "endpoint" the far party's.
 */
export const SideWord = { Ours: 0, Endpoint: 4, Ports: 8, Kind: 9 } as const;
export const SIDE_WORDS = 10;

/** The third word of an IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2). */
export const MAPPED = 0xffff;

/** Called on every change of state (FlowState), before the state changes, with the row still readable. */
export type TransitionHook = (flow: FlowIndex, from: number, to: number) => void;

/** FLOW_TRANSITIONS as a bit mask of next states for each state. */
const ALLOWED = new Uint8Array(FLOW_STATE_NAMES.length);
for (const from of Object.values(FlowState)) {
  for (const to of FLOW_TRANSITIONS[from]) ALLOWED[from] |= 1 << to;
}

export class FlowTable {
  readonly capacity: number;
  /** FlowState, written by this file only. */
  readonly state: Uint8Array;
  /** FlowType. */
  readonly type: Uint8Array;
  /** SIDE_WORDS words for each side, indexed by `wordsOf(side index)`; `key` follows behind the last. */
  readonly sides: Uint32Array;
  /** 1 once a flow is logically closed and waits for the sweep. */
  readonly closed: Uint8Array;
  /** Which MAC address the flow's frames come from: an index that proto/neighbours.ts gives, 0 at first. */
  readonly mac: Uint16Array;
  /** The tuple to look up, or to store by `initiate` and `target`. Filled by the caller. */
  readonly key: Uint32Array;
  /** Where `key` stands in `sides`, for code that works on a side and must also work on a mere tuple. */
  readonly keyWords: number;
  /** Rows that are not FREE. */
  active = 0;
  onTransition: TransitionHook | undefined;

  readonly #free: FreeSet;
  readonly #hash: FlowHash;
  readonly #closing: Int32Array;
  #closingCount = 0;
  #building: FlowIndex = NO_FLOW;

  /**
   * @param capacity rows, at most 2^24
   * @param secret four random words that key the hash
   */
  constructor(capacity: number, secret: Uint32Array) {
    this.capacity = capacity;
    this.state = new Uint8Array(capacity);
    this.type = new Uint8Array(capacity);
    this.closed = new Uint8Array(capacity);
    this.mac = new Uint16Array(capacity);
    this.keyWords = capacity * 2 * SIDE_WORDS;
    this.sides = new Uint32Array(this.keyWords + SIDE_WORDS);
    this.key = this.sides.subarray(this.keyWords);
    this.#free = new FreeSet(capacity);
    this.#hash = new FlowHash(capacity * 2, this.sides, secret);
    this.#closing = new Int32Array(capacity);
  }

  /** Takes the lowest free row as NEW, or NO_FLOW when the table is full. */
  allocate(): FlowIndex {
    assert(this.#building === NO_FLOW, "a flow is already under construction");
    const flow = this.#free.takeLowest();
    if (flow === NO_FLOW) return NO_FLOW;
    this.active++;
    this.#building = flow;
    this.#transition(flow, FlowState.New);
    return flow;
  }

  /** NEW -> INI: stores `key` as the initiating side. */
  initiate(flow: FlowIndex): void {
    this.#storeKey(flow, INITIATING);
    this.#transition(flow, FlowState.Initiated);
  }

  /** INI -> TGT: stores `key` as the target side. */
  target(flow: FlowIndex): void {
    this.#storeKey(flow, TARGET);
    this.#transition(flow, FlowState.Targeted);
  }

  /** TGT -> TYPED. */
  setType(flow: FlowIndex, type: FlowType): void {
    this.type[flow] = type;
    this.#transition(flow, FlowState.Typed);
  }

  /** TYPED -> ACTIVE. */
  activate(flow: FlowIndex): void {
    assert(this.#building === flow, "activated flow is not the one under construction");
    this.#transition(flow, FlowState.Active);
    this.#building = NO_FLOW;
  }

  /** Gives up the flow under construction. Its owner has closed what it opened; hashed sides are removed. */
  cancel(flow: FlowIndex): void {
    assert(this.#building === flow, "cancelled flow is not the one under construction");
    this.#building = NO_FLOW;
    this.#remove(flow);
  }

  /** Ends an ACTIVE flow: no lookup finds it any more, and the next sweep frees the row. */
  close(flow: FlowIndex): void {
    assert(this.state[flow] === FlowState.Active, "closing a flow that is not active");
    if (this.closed[flow] === 1) return;
    this.closed[flow] = 1;
    this.unhash(flow, INITIATING);
    this.unhash(flow, TARGET);
    this.#closing[this.#closingCount++] = flow;
  }

  /** Frees the rows closed since the last sweep. Called once at the end of every cycle. */
  sweep(): void {
    assert(this.#building === NO_FLOW, "a flow under construction outlived its event");
    for (let i = 0; i < this.#closingCount; i++) this.#remove(this.#closing[i]);
    this.#closingCount = 0;
  }

  /** Makes a side findable: the 64-bit keyed hash is left in `hashLow` and `hashHigh`. */
  hash(flow: FlowIndex, side: number): void {
    const known = this.state[flow] >= FlowState.Initiated + side && this.closed[flow] === 0;
    assert(known, "only a known side of an open flow may be found");
    this.#hash.insert((flow << 1) | side);
  }
  get hashLow(): number {
    return this.#hash.low;
  }
  get hashHigh(): number {
    return this.#hash.high;
  }

  unhash(flow: FlowIndex, side: number): void {
    this.#hash.remove((flow << 1) | side);
  }

  /** The side whose tuple equals `key`, or NO_FLOW. */
  lookup(): SideIndex {
    return this.#hash.lookup(this.key);
  }

  /** Calls `visit` for every ACTIVE flow that is not closed, in index order. */
  forEach(visit: (flow: FlowIndex) => void): void {
    this.#free.forEachTaken((flow) => {
      if (this.state[flow] === FlowState.Active && this.closed[flow] === 0) visit(flow);
    });
  }

  #storeKey(flow: FlowIndex, side: number): void {
    assert(this.#building === flow, "only the flow under construction may be written");
    assert((this.key[SideWord.Kind] & 0xff) !== Pif.None, "a side of a flow is nowhere");
    this.sides.set(this.key, wordsOf((flow << 1) | side));
  }

  #transition(flow: FlowIndex, to: FlowState): void {
    const from = this.state[flow];
    if ((ALLOWED[from] & (1 << to)) === 0) assert(false, `flow ${flow} may not go from ${from} to ${to}`);
    if (this.onTransition !== undefined) this.onTransition(flow, from, to);
    this.state[flow] = to;
  }

  #remove(flow: FlowIndex): void {
    this.unhash(flow, INITIATING);
    this.unhash(flow, TARGET);
    this.#transition(flow, FlowState.Free);
    const at = wordsOf(flow << 1);
    this.sides.fill(0, at, at + 2 * SIDE_WORDS);
    this.type[flow] = 0;
    this.closed[flow] = 0;
    this.mac[flow] = 0;
    this.#free.give(flow);
    this.active--;
  }
}

/** Copies a side from the words at `source[from]` to those at `target[to]`. */
export function copySide(target: Uint32Array, to: number, source: Uint32Array, from: number): void {
  for (let i = 0; i < SIDE_WORDS; i++) target[to + i] = source[from + i];
}

/** First word of a side in `FlowTable.sides`. */
export const wordsOf = (side: SideIndex): number => side * SIDE_WORDS;
/** The flow of a side, from its first word in `FlowTable.sides`; `capacity` for `keyWords`. */
export const flowAt = (words: number): FlowIndex => (words / (2 * SIDE_WORDS)) | 0;
/** The word that holds both ports: ours in the upper half. */
export const packPorts = (ours: number, endpoint: number): number => ((ours << 16) | endpoint) >>> 0;
/** The word that holds protocol (an IP protocol number) and pif. */
export const packKind = (protocol: number, pif: Pif): number => (protocol << 8) | pif;

export const oursPort = (sides: Uint32Array, words: number): number => sides[words + SideWord.Ports] >>> 16;
export const endpointPort = (sides: Uint32Array, words: number): number =>
  sides[words + SideWord.Ports] & 0xffff;
/** A Pif. */
export const sidePif = (sides: Uint32Array, words: number): number => sides[words + SideWord.Kind] & 0xff;
export const sideProtocol = (sides: Uint32Array, words: number): number => sides[words + SideWord.Kind] >>> 8;

/** Tells whether the address at `sides[at..at+3]` is IPv4 mapped into IPv6. */
export const isMapped = (words: Uint32Array, at: number): boolean =>
  words[at] === 0 && words[at + 1] === 0 && words[at + 2] === MAPPED;
