/** Where everything stands in the engine's arena. Pages that are not used cost nothing. */
import type { Arena } from "../base/arena.ts";
import { allocate } from "../ffi/memory.ts";
import { ERROR_PAYLOAD_LENGTH } from "../kernel/error-queue.ts";
import { FRAGMENT_SLOT_LENGTH, FRAGMENT_SLOTS } from "../proto/fragments.ts";
import { OUT_LENGTH, type ArenaPlan } from "../proto/net.ts";
import { QUESTION_LENGTH, QUESTIONS } from "../proto/udp-questions.ts";

const PAGE = 4096;
/** Frames of one batch: about as much as a processor's cache keeps until they are sent on. */
const RECEIVE_LENGTH = 1024 * 1024;

export class ArenaLayout {
  readonly arena: Arena;
  readonly plan: ArenaPlan;
  /** Where the payloads of socket errors go. */
  readonly errorAt: number;
  #end = 0;

  /** @param poolLength bytes of the pool for what host sockets do not take at once */
  constructor(poolLength: number) {
    const receiveAt = this.#take(RECEIVE_LENGTH);
    const sendAt = this.#take(OUT_LENGTH);
    this.errorAt = this.#take(ERROR_PAYLOAD_LENGTH);
    const poolAt = this.#take(poolLength);
    const fragmentsLength = FRAGMENT_SLOTS * FRAGMENT_SLOT_LENGTH;
    const fragmentsAt = this.#take(fragmentsLength);
    const questionsAt = this.#take(QUESTIONS * QUESTION_LENGTH);
    this.plan = {
      receiveAt,
      receiveLength: RECEIVE_LENGTH,
      sendAt,
      poolAt,
      poolLength,
      fragmentsAt,
      fragmentsLength,
      questionsAt,
    };
    this.arena = allocate(this.#end);
  }

  /** Reserves whole pages. */
  #take(length: number): number {
    const at = this.#end;
    this.#end += Math.ceil(length / PAGE) * PAGE;
    return at;
  }
}
