import { expect, test } from "@jest/globals";
import { findUser, parseIdentity } from "../../../src/runtime/accounts.ts";

test.each([
  ["0", { uid: 0, gid: 0 }],
  ["1234", { uid: 1234, gid: 1234 }],
  ["1234:5", { uid: 1234, gid: 5 }],
  ["root", { uid: 0, gid: 0 }],
  ["root:5", { uid: 0, gid: 5 }],
  ["7:root", { uid: 7, gid: 0 }],
  ["4294967294", { uid: 4_294_967_294, gid: 4_294_967_294 }],
])("%s", (text, identity) => {
  expect(parseIdentity(text)).toEqual(identity);
});

test.each([
  "",
  ":",
  "root:",
  ":root",
  "root:root:root",
  "no such user",
  "root:nosuchgroup",
  "-1",
  "4294967295",
  "1e3",
])("%s is nobody", (text) => {
  expect(() => parseIdentity(text)).toThrow(expect.objectContaining({ code: "USAGE" }));
});

test("an account is found by its whole name", () => {
  expect(findUser("root")).toEqual({ uid: 0, gid: 0 });
  expect(findUser("roo")).toBeUndefined();
  expect(findUser("")).toBeUndefined();
});
