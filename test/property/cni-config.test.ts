/** Whatever environment and configuration come in, the answer is one document, with a code of the specification. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dispatch, type CniVerbs } from "../../src/cni/dispatch.ts";
import { validAttachments } from "../../src/cni/valid-attachments.ts";
import { SUPPORTED_VERSIONS } from "../../src/cni/versions.ts";
import { readWanted } from "../../src/cni/wanted.ts";
import { checkCniConfig } from "../../src/config/cni-config.ts";
import { addOnPaper, EPHEMERAL } from "../support/cni-verbs.ts";
import { cniCalls, CODES, type CniCall } from "../support/cni-calls.ts";

const { properties } = JSON.parse(
  readFileSync(join(__dirname, "../../schemas/cni-config.schema.json"), "utf8"),
) as { properties: Record<string, unknown> };

/** The verbs with everything but the system. */
const VERBS: CniVerbs = {
  ADD: addOnPaper,
  DEL: async () => undefined,
  CHECK: async (request) => void readWanted(request, EPHEMERAL),
  GC: async ({ config }) => void [checkCniConfig(config), validAttachments(config)],
  STATUS: async (request) => void readWanted(request, EPHEMERAL),
};

/** How a call was answered: "result", "nothing" or a code. Throws when the answer is not as it must be. */
async function answered({ environment, input }: CniCall): Promise<string> {
  const { status, stdout, stderr } = await dispatch(environment, async () => input, VERBS);
  expect(stderr).toBe(environment["CNI_COMMAND"] ? "" : stderr);
  if (status === 0) {
    if (stdout !== "") JSON.parse(stdout);
    return stdout === "" ? "nothing" : "result";
  }
  const { cniVersion, code, msg, details, ...others } = JSON.parse(stdout);
  expect(others).toEqual({});
  expect(SUPPORTED_VERSIONS).toContain(cniVersion);
  expect(CODES).toContain(code);
  expect(typeof msg).toBe("string");
  // What is wrong in the configuration is named by its place.
  expect(code === 7 ? details : "/ ").toMatch(/^\/\S* /);
  return String(code);
}

test("10,000 calls: one document each, with a code of the specification, and no stack", async () => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(cniCalls(Object.keys(properties)), async (call) => {
      const how = await answered(call);
      seen.set(how, (seen.get(how) ?? 0) + 1);
    }),
    { numRuns: 10_000 },
  );
  for (const how of ["result", "nothing", "1", "4", "6", "7"]) {
    expect({ how, isSeen: (seen.get(how) ?? 0) > 50 }).toEqual({ how, isSeen: true });
  }
}, 120_000);
