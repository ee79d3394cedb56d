/** Checks that hold unless the program itself is wrong; kept in production. */

/** Throws with `message` unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
