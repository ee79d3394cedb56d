import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { domainName } from "../../src/config/values.ts";
import { encodeDnsName } from "../../src/wire/dns-name.ts";

const isAccepted = (text: string): boolean => {
  try {
    return domainName(text) === text;
  } catch {
    return false;
  }
};

test("a name that a person may write is one that the DNS can carry", () => {
  const label = fc.oneof(
    fc.constantFrom("", "a", "Box-1", "ä", " ", "\\"),
    fc.integer({ min: 57, max: 64 }).map((length) => "x".repeat(length)),
  );
  const name = fc.array(label, { maxLength: 6 }).map((labels) => labels.join("."));
  fc.assert(
    fc.property(name, fc.constantFrom("", "."), (text, end) => {
      expect(isAccepted(text + end)).toBe(encodeDnsName(text + end) !== undefined);
    }),
    { numRuns: 3000 },
  );
});
