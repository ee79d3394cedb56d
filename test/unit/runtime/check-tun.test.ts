import { expect, test } from "@jest/globals";
import { checkTun } from "../../../src/runtime/check-tun.ts";

test("a machine without TUN is told what to do", () => {
  expect(() => checkTun("/nonexistent/tun")).toThrow(
    'it does not exist; load the module with "modprobe tun" as root',
  );
});
