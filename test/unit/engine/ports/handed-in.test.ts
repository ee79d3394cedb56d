import { expect, test } from "@jest/globals";
import { parseIp } from "../../../../src/base/address.ts";
import { type HandedIn, serves } from "../../../../src/engine/ports/handed-in.ts";
import { toPortRules } from "../../../../src/engine/ports/rules-from-options.ts";
import type { Families } from "../../../../src/forward/port-rules.ts";
import { IpProtocol } from "../../../../src/wire/ipv4.ts";

const BOTH = { ipv4: true, ipv6: true };
const ONLY_4 = { ipv4: true, ipv6: false };

/** Whether a socket of port 80, "*" for both families, serves a rule for that address, "" for every one. */
function isServed(
  socket: string,
  rule: string,
  families: Families = BOTH,
  devices: readonly (string | undefined)[] = [],
): boolean {
  const handedIn: HandedIn = {
    fd: 3,
    name: "web",
    protocol: IpProtocol.Tcp,
    port: 80,
    address: socket === "*" ? undefined : parseIp(socket),
    device: devices[0],
  };
  const options = {
    side: "host" as const,
    protocol: "tcp" as const,
    first: 79,
    last: 81,
    targetFirst: 79,
    ...(rule !== "" && { address: rule }),
    ...(devices[1] !== undefined && { interface: devices[1] }),
  };
  const [wanted] = toPortRules([options], families);
  expect([79, 81].map((port) => serves(handedIn, wanted, port, families))).toEqual([false, false]);
  expect(serves({ ...handedIn, protocol: IpProtocol.Udp }, wanted, 80, families)).toBe(false);
  return serves(handedIn, wanted, 80, families);
}

test("a socket serves a rule for its address, and for every address of its family", () => {
  for (const address of ["*", "0.0.0.0", "192.0.2.1", "2001:db8::1"])
    expect(isServed(address, "")).toBe(true);
  expect(isServed("192.0.2.1", "192.0.2.1")).toBe(true);
  expect(isServed("192.0.2.1", "0.0.0.0")).toBe(true);
  expect(isServed("2001:db8::1", "::")).toBe(true);
});

test("no socket lets in more than its rule", () => {
  expect(isServed("192.0.2.1", "192.0.2.2")).toBe(false);
  expect(isServed("0.0.0.0", "192.0.2.1")).toBe(false);
  expect(isServed("192.0.2.1", "::")).toBe(false);
  expect(isServed("*", "0.0.0.0")).toBe(false);
  expect(isServed("*", "127.0.0.1")).toBe(false);
});

test("of both families, where the other one is off", () => {
  expect(isServed("*", "", ONLY_4)).toBe(true);
  expect(isServed("*", "127.0.0.1", ONLY_4)).toBe(false);
});

test("an interface that a rule names must be that of the socket", () => {
  expect(isServed("*", "", BOTH, ["eth0", "eth0"])).toBe(true);
  expect(isServed("*", "", BOTH, [undefined, "eth0"])).toBe(false);
  expect(isServed("*", "", BOTH, ["eth0", undefined])).toBe(true);
});
