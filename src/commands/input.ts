/** What commands are told on stdin. */
import { readSync } from "node:fs";
import { errorCode } from "../base/errors.ts";

const STDIN = 0;
const CHUNK_BYTES = 65_536;

/** All of it. Without a stream unless it needs one, because loading that takes longer than reading. Throws what node:fs throws. */
export async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    try {
      const length = readSync(STDIN, chunk);
      if (length === 0) break;
      chunks.push(chunk.subarray(0, length));
    } catch (cause) {
      // Somebody made it non-blocking, and more is to come.
      if (errorCode(cause) !== "EAGAIN") throw cause;
      const { buffer } = await import("node:stream/consumers");
      chunks.push(await buffer(process.stdin));
      break;
    }
  }
  return Buffer.concat(chunks).toString("utf8");
}
