/**
 * Which of the host's resolvers is asked: the first one in their order, unless it has just failed. What is known of
 * them is forgotten when the list changes, and places in it mean nothing any more: keep none for longer than a moment.
 */
import { sameIp } from "../base/address.ts";
import type { Address, AddressRules } from "./address-rules.ts";

/** How long a resolver that failed is asked only when there is no other; then the order of preference holds again. */
const AVOID_MS = 30_000;
/** Resolvers behind these are never asked. */
const MOST = 8;

/** No resolver. */
export const NO_SERVER = -1;

/** The bit that stands for a resolver in a set of them; for NO_SERVER, none that counts. */
export const serverBit = (server: number): number => 1 << server;

export class Resolvers {
  readonly #rules: Pick<AddressRules, "dnsServers">;
  /** The list that the columns are about. */
  #servers: readonly Address[] = [];
  readonly #avoidedUntil = new Float64Array(MOST);
  readonly #heardAt = new Float64Array(MOST);

  constructor(rules: Pick<AddressRules, "dnsServers">) {
    this.#rules = rules;
  }

  /**
   * The place in `rules.dnsServers` of the one to ask next, or NO_SERVER when all have been asked.
   * @param asked a set of those that need not be asked again
   */
  next(asked: number, nowMs: number): number {
    const working = this.nextWorking(asked, nowMs);
    if (working !== NO_SERVER) return working;
    const count = this.#count();
    for (let server = 0; server < count; server++) if ((asked & serverBit(server)) === 0) return server;
    return NO_SERVER;
  }

  /** The same without those that have failed. */
  nextWorking(asked: number, nowMs: number): number {
    const count = this.#count();
    for (let server = 0; server < count; server++) {
      if ((asked & serverBit(server)) === 0 && nowMs >= this.#avoidedUntil[server]) return server;
    }
    return NO_SERVER;
  }

  /** The place of the resolver whose address is at `words[at]`, or NO_SERVER. */
  indexOf(words: Uint32Array, at: number): number {
    const count = this.#count();
    for (let server = 0; server < count; server++) {
      if (sameIp(this.#servers[server], 0, words, at)) return server;
    }
    return NO_SERVER;
  }

  /** Notes that the resolver has answered something. */
  heard(server: number, nowMs: number): void {
    this.#heardAt[server] = nowMs;
  }

  /** Notes that the resolver does not answer; if it has said something since `sinceMs`, it is merely slow. */
  failed(server: number, nowMs: number, sinceMs = Infinity): void {
    if (this.#heardAt[server] < sinceMs) this.#avoidedUntil[server] = nowMs + AVOID_MS;
  }

  /** How many there are, by the list as it is now. */
  #count(): number {
    const { dnsServers } = this.#rules;
    if (dnsServers !== this.#servers) {
      this.#servers = dnsServers;
      this.#avoidedUntil.fill(0);
      this.#heardAt.fill(-1);
    }
    return Math.min(dnsServers.length, MOST);
  }
}
