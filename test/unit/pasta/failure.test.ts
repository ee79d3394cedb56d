/** Messages that callers and people look for. */
import { expect, test } from "@jest/globals";
import { AppError } from "../../../src/base/errors.ts";
import { failureLines } from "../../../src/pasta/failure.ts";

test.each([
  [
    { side: "host", protocol: "tcp", port: 6001, errno: "EADDRINUSE" },
    "Listen failed for HOST TCP port */6001: Address already in use",
  ],
  [
    { side: "host", protocol: "udp", address: "::1", port: 80, errno: "EACCES" },
    "Listen failed for HOST UDP port ::1/80: Permission denied",
  ],
  [
    { side: "container", protocol: "tcp", port: 80, errno: "EWHATEVER" },
    "Listen failed for SPLICE TCP port */80: EWHATEVER",
  ],
])("a port that cannot be had: %j", (details, line) => {
  const error = new AppError("PORT_IN_USE", "cannot listen: nginx does", { details });
  expect(failureLines(error)).toEqual([
    line,
    "Couldn't listen on requested ports: cannot listen: nginx does",
  ]);
});

test("everything else is said as it is", () => {
  expect(failureLines(new AppError("BUSY", "cannot attach", { details: { port: 1 } }))).toEqual([
    "cannot attach",
  ]);
});
