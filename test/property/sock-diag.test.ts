/** Answers of the kernel that nobody expects: whatever their bytes are, the parser stays inside and ends. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { parseAnswer } from "../../src/kernel/sock-diag.ts";

const SEQUENCE = 7;
const STATE = 10;

/** A message with a proper sequence number, whose length may be a lie. */
const message = fc
  .record({
    type: fc.constantFrom(20, 2, 3, 1),
    body: fc.uint8Array({ maxLength: 120 }),
    lie: fc.option(fc.nat(0xffff_ffff), { freq: 4, nil: undefined }),
  })
  .map(({ type, body, lie }) => {
    const bytes = new Uint8Array((16 + body.length + 3) & ~3);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, lie ?? 16 + body.length, true);
    view.setUint16(4, type, true);
    view.setUint32(8, SEQUENCE, true);
    bytes.set(body, 16);
    if (body.length > 1) bytes[17] = STATE;
    return [...bytes];
  });

test("any bytes", () => {
  const answers = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.array(message, { maxLength: 6 }).map((messages) => Uint8Array.from(messages.flat())),
  );
  fc.assert(
    fc.property(answers, (bytes) => {
      let count = 0;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const result = parseAnswer(view, 0, bytes.length, SEQUENCE, STATE, () => count++);
      expect(result).toBeLessThanOrEqual(1);
      expect(count).toBeLessThanOrEqual(bytes.length / 88);
    }),
  );
});
