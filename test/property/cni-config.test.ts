/** Whatever a network configuration holds, the answer is options or an error that names a place. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkCniConfig, ConfigError, networkFromCni } from "../../src/config/from-cni.ts";

const { properties } = JSON.parse(
  readFileSync(join(__dirname, "../../schemas/cni-config.schema.json"), "utf8"),
) as { properties: Record<string, unknown> };

const text = fc.oneof(
  fc.string(),
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.ipV4(), fc.nat(40)).map(([address, length]) => `${address}/${length}`),
  fc.constantFrom("none", "eth0", "02:00:00:00:00:01", "debug", "/tmp/log", "10.0.0.1/24"),
);
const value = fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.boolean(), fc.integer(), fc.jsonValue());
const config = fc.dictionary(fc.constantFrom(...Object.keys(properties)), value);

/** The error's message, or undefined when there is none. Throws every error that is not about the configuration. */
function messageFor(changes: Record<string, unknown>): string | undefined {
  try {
    networkFromCni(checkCniConfig({ name: "n", type: "bucatini", ...changes }), "eth0");
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
}

test("networkFromCni gives options or throws ConfigError with a JSON pointer", () => {
  const messages: (string | undefined)[] = [];
  fc.assert(
    fc.property(config, (changes) => {
      const message = messageFor(changes);
      messages.push(message);
      return message === undefined || /^\/\S* /.test(message);
    }),
    { numRuns: 5_000 },
  );
  expect(messages.filter((message) => message === undefined).length).toBeGreaterThan(100);
  expect(messages.filter((message) => message !== undefined).length).toBeGreaterThan(1_000);
});
