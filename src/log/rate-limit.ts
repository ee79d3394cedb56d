/**
 * Bounds how often one place in the code logs. Needed wherever the container or a remote peer can cause the
 * message: the log is mostly in /run, which is memory, and grows for as long as the container lives.
 */
import type { Log } from "./logger.ts";

export class RateLimit {
  /** Messages withheld before the one that `allow` has just allowed. */
  suppressed = 0;

  readonly #perWindow: number;
  readonly #windowMs: number;
  #windowStart = -Infinity;
  #allowed = 0;
  #withheld = 0;

  constructor(perWindow = 5, windowMs = 60_000) {
    this.#perWindow = perWindow;
    this.#windowMs = windowMs;
  }

  /** Tells whether to log now; the message should mention `suppressed` when that is not zero. */
  allow(nowMs: number): boolean {
    if (nowMs - this.#windowStart >= this.#windowMs) {
      this.#windowStart = nowMs;
      this.#allowed = 0;
    }
    if (this.#allowed >= this.#perWindow) {
      this.#withheld++;
      return false;
    }
    this.#allowed++;
    this.suppressed = this.#withheld;
    this.#withheld = 0;
    return true;
  }

  /**
   * Logs a warning if one is allowed now, with how many were withheld before it.
   * @param name of a field whose value is `value`; one that is withheld so costs no object
   */
  warn(log: Log, nowMs: number, message: string, name?: string, value?: unknown): void {
    if (this.allow(nowMs)) log.warn(message, this.#fields(name, value));
  }

  /** The same for information. */
  info(log: Log, nowMs: number, message: string, name?: string, value?: unknown): void {
    if (this.allow(nowMs)) log.info(message, this.#fields(name, value));
  }

  #fields(name: string | undefined, value: unknown): Record<string, unknown> {
    const { suppressed } = this;
    return {
      ...(name !== undefined && { [name]: value }),
      ...(suppressed > 0 && { suppressed }),
    };
  }
}
