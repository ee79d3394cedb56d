/** What must hold for every segment out of the TAP, whatever a script says. Numbers are relative. */
import { hasFlag } from "./compare.ts";
import type { Segment } from "./script.ts";

/** Smallest segment size that is respected. */
const MIN_MSS = 88;
const DEFAULT_MSS = 536;

export class TcpWatch {
  #mss = DEFAULT_MSS;
  /** Shifts of the container's windows and of ours; 0 until both have named one. */
  #theirShift = 0;
  #ourShift = 0;
  /** Behind the last byte that the container has said, and that it takes. */
  #said = 0;
  #theirEdge = 0;
  /** Largest acknowledgement and right edge that we have shown. */
  #acked = 0;
  #ourEdge = 0;

  /** Notes a segment of the container. */
  input(segment: Segment): void {
    const has = (letter: string): boolean => hasFlag(segment, letter);
    const end = segment.sequence + segment.length + (has("S") ? 1 : 0) + (has("F") ? 1 : 0);
    if (has("S")) {
      this.#mss = Number(/mss (\d+)/.exec(segment.options)?.[1] ?? DEFAULT_MSS);
      const shift = /wscale (\d+)/.exec(segment.options);
      this.#theirShift = shift === null ? 0 : Math.min(Number(shift[1]), 14);
      this.#said = end;
      // Both scale their windows, or neither does.
      if (shift === null) this.#ourShift = 0;
      this.#theirEdge = segment.ack === undefined ? 0 : segment.ack + (segment.window ?? 65_535);
      this.#acked = this.#ourEdge = 0;
      return;
    }
    this.#said = Math.max(this.#said, end);
    if (segment.ack === undefined) return;
    this.#theirEdge = segment.ack + (segment.window ?? 65_535) * 2 ** this.#theirShift;
  }

  /** Returns what is wrong with a segment to the container, or "". */
  output(segment: Segment, largest: number): string {
    const has = (letter: string): boolean => hasFlag(segment, letter);
    if (has("R")) return "";
    if (has("S")) this.#ourShift = Number(/wscale (\d+)/.exec(segment.options)?.[1] ?? 0);
    if (segment.ack === undefined) return has("S") ? "" : "a segment without ACK";
    if (largest > Math.max(this.#mss, MIN_MSS)) return `more than the container's MSS of ${this.#mss}`;
    if (segment.ack > this.#said) return `acknowledges more than the container has said, ${this.#said}`;
    if (segment.ack < this.#acked) return `acknowledgement moves back from ${this.#acked}`;
    const edge = segment.ack + (segment.window ?? 0) * (has("S") ? 1 : 2 ** this.#ourShift);
    if (edge < this.#ourEdge && !has("S"))
      return `right edge of the window moves back from ${this.#ourEdge} to ${edge}`;
    const end = segment.sequence + segment.length;
    if (segment.length > 1 && end > this.#theirEdge)
      return `beyond the container's window, ${this.#theirEdge}`;
    this.#acked = segment.ack;
    this.#ourEdge = edge;
    return "";
  }
}
