import { expect, test } from "@jest/globals";
import { AppError } from "../../../src/base/errors.ts";
import { parseOciState } from "../../../src/oci/state.ts";

const STATE = { ociVersion: "1.0.2-dev", id: "c1", status: "creating", pid: 4711, bundle: "/run/c1" };

const parse = (changes: Record<string, unknown>): unknown =>
  parseOciState(JSON.stringify({ ...STATE, ...changes }));

test("states of runc, crun and Podman are understood", () => {
  expect(parse({})).toEqual(STATE);
  expect(
    parse({ ociVersion: "1.0", status: "created", root: "/run/c1/rootfs", annotations: {} }),
  ).toMatchObject({
    status: "created",
    annotations: {},
  });
  expect(parse({ status: "stopped", pid: undefined })).not.toHaveProperty("pid");
  expect(parse({ status: "stopped", pid: 0, annotations: null })).toMatchObject({
    pid: 0,
    annotations: null,
  });
  expect(parse({ status: "paused" })).toMatchObject({ status: "paused" });
});

test.each([
  [{ id: "" }, "/id must NOT have fewer than 1 characters"],
  [{ id: undefined }, "/ must have required property 'id'"],
  [{ status: 1 }, "/status must be string"],
  [{ pid: "4711" }, "/pid must be integer"],
  [{ pid: -1 }, "/pid must be >= 0"],
  [{ annotations: { a: 1 } }, "/annotations/a must be string"],
])("%j is refused with its place", (changes, why) => {
  expect(() => parse(changes)).toThrow(`cannot understand the container's state on stdin: ${why}; `);
});

test.each(["", "{", "state"])("%j is no JSON", (text) => {
  expect(() => parseOciState(text)).toThrow(AppError);
  expect(() => parseOciState(text)).toThrow("it is no JSON; this program is a hook");
});
