/** docs/control.md and schemas/control.schema.json say the same. */
import { expect, test } from "@jest/globals";
import { Ajv } from "ajv";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { PortRuleStatus, PortsResult } from "../../../src/config/control-types.ts";
import { LOG_LEVELS } from "../../../src/config/options.ts";
import { validateControl } from "../../../src/config/generated/control.ts";

const ROOT = join(__dirname, "../../..");
const docs = readFileSync(join(ROOT, "docs/control.md"), "utf8");
const schema = JSON.parse(readFileSync(join(ROOT, "schemas/control.schema.json"), "utf8")) as object;
const ajv = new Ajv({ strict: true }).addSchema(schema);
const accepts = (definition: string, value: unknown): boolean =>
  ajv.validate(`control.schema.json#/definitions/${definition}`, value);

const isRequest = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "method" in value;

test("the examples are requests and answers", () => {
  const examples = Array.from(docs.matchAll(/^ {4}(\{.*\})$/gm), ([, line]) => line);
  const whole = examples.filter((line) => !line.includes(",...")).map((line): unknown => JSON.parse(line));
  const requests = whole.filter(isRequest);
  const answers = whole.filter((value) => !isRequest(value));
  expect([requests.length, answers.length]).toEqual([4, 2]);
  expect(requests.map((value): unknown => validateControl(value))).toEqual([true, true, true, true]);
  expect(answers.map((value) => accepts("answer", value))).toEqual([true, true]);
});

test("log levels are those that there are", () => {
  for (const level of LOG_LEVELS) {
    expect(validateControl({ method: "setLogLevel", params: { level } })).toBe(true);
  }
  expect(validateControl({ method: "setLogLevel", params: { level: "loud" } })).toBe(false);
  expect(validateControl({ method: "setLogLevel" })).toBe(false);
});

test("the result of ports is what its type says", () => {
  const rule: PortRuleStatus = {
    side: "host",
    protocol: "udp",
    address: "192.0.2.1",
    interface: "eth0",
    first: 80,
    last: 81,
    targetAddress: "10.0.0.2",
    targetFirst: 90,
    weak: true,
    scan: true,
    state: "partial",
    open: 1,
    error: { code: "PORT_IN_USE", port: 81, message: "another program listens there" },
  };
  const result: PortsResult = { rules: [rule] };
  expect(accepts("portsResult", result)).toBe(true);
  expect(accepts("portsResult", { rules: [{ ...rule, state: "closed" }] })).toBe(false);
  // Every key is written down.
  for (const key of Object.keys(rule)) expect(docs).toContain(`\`${key}\``);
});
