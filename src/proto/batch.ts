/**
 * Payloads that arrived from the container in one batch of frames, chained by flow, so that each flow costs
 * one call to its socket however its frames were mixed with others. Payloads stay where they were received.
 */
import type { FlowIndex } from "../flow/table.ts";

/** Frames in one batch at most. */
export const BATCH_FRAMES = 256;

export class Batch {
  /** Arena offset of each payload. */
  readonly at: Uint32Array = new Uint32Array(BATCH_FRAMES);
  readonly length: Uint32Array = new Uint32Array(BATCH_FRAMES);
  /** Entry behind this one in its chain, or -1. */
  readonly next: Int32Array = new Int32Array(BATCH_FRAMES);
  /** Flows touched in this batch, in order of first touch. */
  readonly touched: Int32Array = new Int32Array(BATCH_FRAMES);
  touchedCount = 0;

  #entries = 0;
  /** First and last entry of a flow's chain, plus 1; 0 = none. Meaningful for touched flows only. */
  readonly #head: Uint16Array;
  readonly #tail: Uint16Array;
  readonly #isTouched: Uint8Array;

  constructor(capacity: number) {
    this.#head = new Uint16Array(capacity);
    this.#tail = new Uint16Array(capacity);
    this.#isTouched = new Uint8Array(capacity);
  }

  /** Makes sure the flow is visited at the end of the batch. */
  touch(flow: FlowIndex): void {
    if (this.#isTouched[flow] !== 0) return;
    this.#isTouched[flow] = 1;
    this.touched[this.touchedCount++] = flow;
  }

  /** Adds a payload to the end of the flow's chain. At most BATCH_FRAMES entries fit between two `clear`s. */
  append(flow: FlowIndex, at: number, length: number): void {
    this.touch(flow);
    const entry = this.#entries++;
    this.at[entry] = at;
    this.length[entry] = length;
    this.next[entry] = -1;
    const tail = this.#tail[flow];
    if (tail === 0) this.#head[flow] = entry + 1;
    else this.next[tail - 1] = entry;
    this.#tail[flow] = entry + 1;
  }

  /** First entry of the flow's chain, or -1. */
  first(flow: FlowIndex): number {
    return this.#head[flow] - 1;
  }

  /** Forgets the flow's chain; the flow stays touched. */
  drop(flow: FlowIndex): void {
    this.#head[flow] = 0;
    this.#tail[flow] = 0;
  }

  /** Ends the batch. */
  clear(): void {
    for (let i = 0; i < this.touchedCount; i++) {
      const flow = this.touched[i];
      this.#isTouched[flow] = 0;
      this.drop(flow);
    }
    this.touchedCount = 0;
    this.#entries = 0;
  }
}
