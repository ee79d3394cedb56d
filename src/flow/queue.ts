/** Flows, or rows of another table, that wait for something, in the order in which they came. */
import { type FlowIndex, NO_FLOW } from "./table.ts";

/**
 * Each row stands in the queue once at most, and stays there whatever becomes of its flow: whoever takes it has to look
 * whether the row is still, or again, what it expects.
 */
export class FlowQueue {
  #ring: Int32Array;
  #isIn: Uint8Array;
  #first = 0;
  #length = 0;

  /** @param capacity rows are 0 to capacity - 1; for others the queue has to grow */
  constructor(capacity: number) {
    this.#ring = new Int32Array(capacity);
    this.#isIn = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** The next to be taken, or NO_FLOW. */
  get first(): FlowIndex {
    return this.#length === 0 ? NO_FLOW : this.#ring[this.#first];
  }

  /** Puts a row at the end; nothing happens when it is in the queue already. */
  add(flow: FlowIndex): void {
    if (flow >= this.#isIn.length) this.#grow(flow + 1);
    if (this.#isIn[flow] === 1) return;
    this.#isIn[flow] = 1;
    this.#ring[(this.#first + this.#length) % this.#ring.length] = flow;
    this.#length++;
  }

  /** Takes the first, or NO_FLOW. */
  take(): FlowIndex {
    const flow = this.first;
    if (flow === NO_FLOW) return NO_FLOW;
    this.#isIn[flow] = 0;
    this.#first = (this.#first + 1) % this.#ring.length;
    this.#length--;
    return flow;
  }

  #grow(capacity: number): void {
    const old = this.#ring;
    const isIn = this.#isIn;
    this.#ring = new Int32Array(Math.max(capacity, 2 * old.length));
    this.#isIn = new Uint8Array(this.#ring.length);
    this.#isIn.set(isIn);
    this.#ring.set(old.subarray(this.#first));
    this.#ring.set(old.subarray(0, this.#first), old.length - this.#first);
    this.#first = 0;
  }
}
