import { expect, test } from "@jest/globals";
import type { PortRuleStatus } from "../../../src/config/control-types.ts";
import { waitingNotes } from "../../../src/config/port-notes.ts";

function rule(first: number, waitsFor?: string): PortRuleStatus {
  return {
    side: "host",
    protocol: "tcp",
    first,
    last: first,
    targetFirst: first,
    state: waitsFor === undefined ? "listening" : "waiting",
    open: 0,
    ...(waitsFor !== undefined && { waitsFor }),
  };
}

test("each thing that is not there is named once, with a rule that waits for it", () => {
  expect(waitingNotes([rule(80), rule(81, "IPv6"), rule(82, "the interface wg0"), rule(83, "IPv6")])).toEqual(
    [
      "waiting for IPv6: until it is there, -t 81 and 1 more cannot be reached",
      "waiting for the interface wg0: until it is there, -t 82 cannot be reached",
    ],
  );
  expect(waitingNotes([rule(80)])).toEqual([]);
});

test("where nearly nothing is there, some of it is named", () => {
  const notes = waitingNotes(Array.from({ length: 1000 }, (_, i) => rule(i + 1, `2001:db8::${i}`)));
  expect(notes).toHaveLength(9);
  expect(notes.at(-1)).toBe('waiting for 992 more (see "bucatini ports")');
});
