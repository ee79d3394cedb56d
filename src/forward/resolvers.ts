/**
 * Which of the host's resolvers is asked: the first one, unless it has just failed; then the next, for a while.
 * A client that repeats its question, mostly from another port, so reaches a resolver that works.
 */

/** How long a resolver that failed is not asked; the order of preference holds again afterwards. */
const AVOID_MS = 30_000;

export class Resolvers {
  #current = 0;
  #untilMs = -Infinity;

  /**
   * @param count resolvers there are
   * @returns index of the one to ask, 0 when there is none
   */
  current(count: number, nowMs: number): number {
    if (nowMs >= this.#untilMs || this.#current >= count) this.#current = 0;
    return this.#current;
  }

  /** Notes that the resolver at `index` did not answer; the next one takes its place. */
  failed(index: number, count: number, nowMs: number): void {
    if (index !== this.current(count, nowMs)) return;
    this.#current = (index + 1) % count;
    this.#untilMs = nowMs + AVOID_MS;
  }
}
