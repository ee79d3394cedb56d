import { expect, test } from "@jest/globals";
import { handedInSockets } from "../../../src/runtime/handed-in.ts";

test("descriptors from 3 on, with their names", () => {
  const environment = { LISTEN_PID: "77", LISTEN_FDS: "3", LISTEN_FDNAMES: "web:dns.socket" };
  expect(handedInSockets(environment, 77)).toEqual([
    { fd: 3, name: "web" },
    { fd: 4, name: "dns.socket" },
    { fd: 5, name: "unknown" },
  ]);
});

test.each([
  {},
  { LISTEN_FDS: "1" },
  { LISTEN_PID: "78", LISTEN_FDS: "1" },
  { LISTEN_PID: "77" },
  { LISTEN_PID: "77", LISTEN_FDS: "0" },
  { LISTEN_PID: "77", LISTEN_FDS: "-1" },
  { LISTEN_PID: "77", LISTEN_FDS: "1x" },
])("nothing is for us in %j", (environment) => {
  expect(handedInSockets(environment, 77)).toEqual([]);
});
