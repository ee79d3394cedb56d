/** Waiting for a state that comes by itself. */
import { sleep } from "./space.ts";

const DEADLINE_MS = 10_000;
const POLL_MS = 50;

/** Looks until the value is wanted, or a deadline is over; the last value. */
export async function eventually<Value>(
  look: () => Promise<Value>,
  isWanted: (value: Value) => boolean,
): Promise<Value> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const value = await look();
    if (isWanted(value) || Date.now() > deadline) return value;
    await sleep(POLL_MS);
  }
}
