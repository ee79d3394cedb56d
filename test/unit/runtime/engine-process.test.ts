import { expect, test } from "@jest/globals";
import { parseError } from "../../../src/runtime/engine-process.ts";

test("an error crosses process borders as code and message", () => {
  expect(parseError('{"code":"NO_TUN","message":"no"}')).toMatchObject({
    code: "NO_TUN",
    message: "no",
    exitCode: 5,
  });
  for (const text of [
    "",
    "{}",
    "null",
    '{"code":"toString","message":"x"}',
    '{"code":"NO_TUN","message":1}',
  ]) {
    expect(parseError(text)).toBeUndefined();
  }
});
