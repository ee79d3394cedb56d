import { expect, test } from "@jest/globals";
import { CDI_DEVICE, cdiSpecification, hookDescription } from "../../../src/oci/registration.ts";

const COMMAND = { path: "/opt/node", args: ["node", "/opt/hook"] };
const CALL = { ...COMMAND, env: [], timeout: 30 };

test("a description for hooks.d names annotations by expressions that match nothing else", () => {
  expect(hookDescription(COMMAND, { annotation: "a.b/c", value: "(1+1)$" })).toEqual({
    version: "1.0.0",
    hook: CALL,
    when: { annotations: { "^a\\.b/c$": "^\\(1\\+1\\)\\$$" } },
    stages: ["createRuntime", "poststop"],
  });
  expect(hookDescription(COMMAND, { always: true })).toMatchObject({ when: { always: true } });
});

test("a CDI specification has one device, whose name is its kind and its own", () => {
  const [kind, name] = CDI_DEVICE.split("=");
  expect(cdiSpecification(COMMAND)).toEqual({
    cdiVersion: "0.5.0",
    kind,
    devices: [
      {
        name,
        containerEdits: {
          hooks: [
            { hookName: "createRuntime", ...CALL },
            { hookName: "poststop", ...CALL },
          ],
        },
      },
    ],
  });
});
