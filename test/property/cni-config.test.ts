/** Whatever environment and configuration come in, the answer is one document, with a code of the specification. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { dispatch, type CniVerbs } from "../../src/cni/dispatch.ts";
import { formatResult } from "../../src/cni/format-result.ts";
import { addResult, mergeResults } from "../../src/cni/result.ts";
import { validAttachments } from "../../src/cni/valid-attachments.ts";
import { SUPPORTED_VERSIONS } from "../../src/cni/versions.ts";
import { readWanted } from "../../src/cni/wanted.ts";
import { checkCniConfig } from "../../src/config/cni-config.ts";
import { planNetwork } from "../../src/config/network-plan.ts";
import { cniCalls, CODES, type CniCall } from "../support/cni-calls.ts";

const { properties } = JSON.parse(
  readFileSync(join(__dirname, "../../schemas/cni-config.schema.json"), "utf8"),
) as { properties: Record<string, unknown> };

const ATTACHMENT = ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] as const;
const EPHEMERAL = { first: 32_768, last: 60_999 };

/** The verbs with everything but the system. */
const VERBS: CniVerbs = {
  ADD: {
    since: "0.1.0",
    required: ATTACHMENT,
    run: async (request) => {
      const { network, dns, previous } = readWanted(request, EPHEMERAL);
      const ours = addResult(request, planNetwork({ ipv6Available: true }, network), dns);
      return formatResult(previous === undefined ? ours : mergeResults(previous, ours), request.version);
    },
  },
  DEL: { since: "0.1.0", required: ["CNI_CONTAINERID", "CNI_IFNAME"], run: async () => undefined },
  CHECK: {
    since: "0.4.0",
    required: ATTACHMENT,
    run: async (request) => void readWanted(request, EPHEMERAL),
  },
  GC: {
    since: "1.1.0",
    required: ["CNI_PATH"],
    run: async ({ config }) => void [checkCniConfig(config), validAttachments(config)],
  },
  STATUS: {
    since: "1.1.0",
    required: ["CNI_PATH"],
    run: async (request) => void readWanted(request, EPHEMERAL),
  },
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
