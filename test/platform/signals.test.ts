import { expect, test } from "@jest/globals";
import { program, startChild } from "./children.ts";

test("a signal that comes while the command takes over reaches the command", async () => {
  const child = await startChild(program("signal-handover.ts"));
  await child.end();
  expect(child.line).toBe("SIGTERM");
});
