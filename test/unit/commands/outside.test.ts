import { expect, test } from "@jest/globals";
import { outsideOf } from "../../../src/commands/outside.ts";

test("ports are opened by whoever does not do so already", () => {
  const podman = { _CONTAINERS_USERNS_CONFIGURED: "done" };
  const rootlessKit = { ROOTLESSKIT_STATE_DIR: "/run/user/1000/containerd-rootless" };
  expect(outsideOf({}, true)).toEqual({ outside: { ports: true } });
  expect(outsideOf(podman, true)).toEqual({ outside: { ports: false } });
  expect(outsideOf(rootlessKit, true)).toEqual({});
  expect(outsideOf(rootlessKit, false)).toEqual({ outside: { ports: true } });
});
