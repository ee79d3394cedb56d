/**
 * Bytes accepted from the container that a host socket did not take at once. One bounded pool for the whole
 * container, cut into chunks; a flow holds a chain of them. Copies happen only when a socket is slower than
 * the container.
 */
import type { FlowIndex } from "../../flow/table.ts";
import type { Host } from "../host.ts";

/** Bytes in a chunk. */
export const CHUNK = 16_384;
/** Parts of one `send` at most. */
const SEND_PARTS = 64;
/** Chunks whose pages are always kept. */
const KEPT_CHUNKS = 64;
const RELEASE_INTERVAL_MS = 1_000;

export class Pending {
  /** Bytes held for each flow. */
  readonly bytes: Uint32Array;
  readonly #host: Host;
  readonly #poolAt: number;
  /** First and last chunk of each flow, plus 1; 0 = none. */
  readonly #first: Uint16Array;
  readonly #last: Uint16Array;
  /** Bytes of the first chunk already sent, and bytes filled in the last. */
  readonly #sent: Uint16Array;
  readonly #filled: Uint16Array;
  /** The chunk behind each chunk, plus 1; also chains the free ones. */
  readonly #next: Uint16Array;
  #free = 0;
  /** Chunks never used yet start here: their pages cost nothing. */
  #fresh = 0;
  readonly #chunks: number;
  #used = 0;
  #releaseAt = 0;

  /** @param poolLength bytes of the pool, at most 65,535 chunks */
  constructor(host: Host, capacity: number, poolAt: number, poolLength: number) {
    this.#host = host;
    this.#poolAt = poolAt;
    this.#chunks = Math.min(Math.floor(poolLength / CHUNK), 65_535);
    this.bytes = new Uint32Array(capacity);
    this.#first = new Uint16Array(capacity);
    this.#last = new Uint16Array(capacity);
    this.#sent = new Uint16Array(capacity);
    this.#filled = new Uint16Array(capacity);
    this.#next = new Uint16Array(this.#chunks);
  }

  /** Bytes that any flow could still store. */
  get available(): number {
    return (this.#chunks - this.#used) * CHUNK;
  }

  /** Copies `[at, at + length)` of the arena to the end of the flow's bytes; returns how many found room. */
  append(flow: FlowIndex, at: number, length: number): number {
    let done = 0;
    while (done < length) {
      if (this.#last[flow] === 0 || this.#filled[flow] === CHUNK) {
        if (!this.#grow(flow)) break;
      }
      const filled = this.#filled[flow];
      const amount = Math.min(CHUNK - filled, length - done);
      const to = this.#poolAt + (this.#last[flow] - 1) * CHUNK + filled;
      this.#host.arena.bytes.copyWithin(to, at + done, at + done + amount);
      this.#filled[flow] = filled + amount;
      done += amount;
    }
    this.bytes[flow] += done;
    return done;
  }

  /** Sets the parts of the host's next `send` to the oldest bytes of the flow; returns how many parts. */
  parts(flow: FlowIndex): number {
    let parts = 0;
    let chunk = this.#first[flow];
    let skip = this.#sent[flow];
    while (chunk !== 0 && parts < SEND_PARTS) {
      const end = chunk === this.#last[flow] ? this.#filled[flow] : CHUNK;
      this.#host.part(parts++, this.#poolAt + (chunk - 1) * CHUNK + skip, end - skip);
      skip = 0;
      chunk = this.#next[chunk - 1]!;
    }
    return parts;
  }

  /** Forgets the oldest `amount` bytes of the flow: its socket has taken them. */
  consume(flow: FlowIndex, amount: number): void {
    this.bytes[flow] -= amount;
    if (this.bytes[flow] === 0) return this.drop(flow);
    let sent = this.#sent[flow] + amount;
    while (sent >= CHUNK) {
      const chunk = this.#first[flow];
      this.#first[flow] = this.#next[chunk - 1]!;
      this.#giveBack(chunk);
      sent -= CHUNK;
    }
    this.#sent[flow] = sent;
  }

  /** Forgets everything of the flow. */
  drop(flow: FlowIndex): void {
    let chunk = this.#first[flow];
    while (chunk !== 0) {
      const next = this.#next[chunk - 1];
      this.#giveBack(chunk);
      chunk = next;
    }
    this.#first[flow] = this.#last[flow] = this.#sent[flow] = this.#filled[flow] = 0;
    this.bytes[flow] = 0;
  }

  #grow(flow: FlowIndex): boolean {
    let chunk = this.#free;
    if (chunk !== 0) this.#free = this.#next[chunk - 1]!;
    else if (this.#fresh < this.#chunks) chunk = ++this.#fresh;
    else return false;
    this.#used++;
    this.#next[chunk - 1] = 0;
    const last = this.#last[flow];
    if (last === 0) this.#first[flow] = chunk;
    else this.#next[last - 1] = chunk;
    this.#last[flow] = chunk;
    this.#filled[flow] = 0;
    return true;
  }

  #giveBack(chunk: number): void {
    this.#next[chunk - 1] = this.#free;
    this.#free = chunk;
    if (--this.#used > 0 || this.#fresh < KEPT_CHUNKS) return;
    // An empty pool gives its pages back: the memory of a burst is not kept for ever. Not too often, because
    // a pool that fills and empties all the time would pay for its pages again and again.
    if (this.#host.nowMs < this.#releaseAt) return;
    this.#releaseAt = this.#host.nowMs + RELEASE_INTERVAL_MS;
    this.#host.release(this.#poolAt, this.#fresh * CHUNK);
    this.#free = this.#fresh = 0;
  }
}
