import { expect, test } from "@jest/globals";
import { SysError } from "../../../src/base/errors.ts";
import * as constants from "../../../src/ffi/constants.ts";
import { check, errnoName, errnoNumber } from "../../../src/ffi/errno.ts";

test("errors have a name, whatever their sign", () => {
  expect([errnoName(2), errnoName(-2), errnoName(112)]).toEqual(["ENOENT", "ENOENT", "EHOSTDOWN"]);
  expect(errnoName(11)).toBe("EAGAIN");
  expect(errnoName(4000)).toBe("errno 4000");
});

test("every error of constants.ts has the number of its name", () => {
  const errors = Object.entries(constants).filter(
    ([name]) => /^E[A-Z0-9]+$/.test(name) && !name.startsWith("EPOLL"),
  );
  expect(errors.length).toBeGreaterThan(20);
  for (const [name, number] of errors) expect([name, errnoNumber(name)]).toEqual([name, number]);
});

test("check gives results back and throws what failed, on what, and why", () => {
  expect(check(0, "read")).toBe(0);
  expect(check(17, "read")).toBe(17);
  expect(() => check(-13, "open", "/etc/shadow")).toThrow("open /etc/shadow: EACCES");
  expect(() => check(-13, "open")).toThrow(SysError);
  expect(() => check(-13, "open")).toThrow(expect.objectContaining({ syscall: "open", errno: 13 }));
});
