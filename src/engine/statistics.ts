/** Prints what an engine has counted, now and then, for a person who watches. */
import type { Counters } from "../base/counters.ts";
import { openInterval, takeExpirations } from "../kernel/timer.ts";
import { LogSink } from "../log/sink.ts";

export class Statistics {
  /** A descriptor that is readable when it is time to print. */
  readonly timer: number;
  readonly #counters: Counters;
  readonly #sink: LogSink;
  #before = new Map<string, number>();

  /**
   * Throws SysError.
   * @param fd where to print; a reader that has stopped misses some
   * @param seconds between two times
   */
  constructor(fd: number, seconds: number, counters: Counters) {
    this.timer = openInterval(seconds * 1000);
    this.#sink = new LogSink(fd);
    this.#counters = counters;
  }

  /** Prints all counters and how far they have moved since the last time; nothing when none has. */
  print(): void {
    takeExpirations(this.timer);
    const now = Object.entries(this.#counters.snapshot());
    const rows = now.map(([name, count]) => ({ name, count, more: count - (this.#before.get(name) ?? 0) }));
    this.#before = new Map(now);
    if (rows.every(({ more }) => more === 0)) return;
    const lines = rows.map(({ name, count, more }) => row(name, String(count), more === 0 ? "" : `+${more}`));
    this.#sink.write(`${[row("counter", "total", "since"), ...lines].join("\n")}\n\n`);
  }
}

const row = (name: string, count: string, more: string): string =>
  `${name.padEnd(22)}${count.padStart(16)}${more.padStart(16)}`.trimEnd();
