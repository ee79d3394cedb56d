import { expect, test } from "@jest/globals";
import type { PortRuleOptions } from "../../../../src/config/options.ts";
import { describeFailures, portError } from "../../../../src/engine/ports/errors.ts";
import { toPortRules } from "../../../../src/engine/ports/rules-from-options.ts";
import * as c from "../../../../src/ffi/constants.ts";
import type { PortRule } from "../../../../src/forward/port-rule.ts";

function rule(more: Partial<PortRuleOptions> = {}): PortRule {
  const options = { side: "host", protocol: "tcp", first: 1, last: 65_535, targetFirst: 1, ...more } as const;
  return toPortRules([options], { ipv4: true, ipv6: true })[0];
}

test.each([
  [
    rule(),
    c.EADDRINUSE,
    "PORT_IN_USE",
    "cannot listen on TCP port 80 of the host: another program listens there",
  ],
  [
    rule({ protocol: "udp", address: "192.0.2.1" }),
    c.EADDRNOTAVAIL,
    "USAGE",
    "cannot listen on UDP port 80 of the host at 192.0.2.1: there is no such address (see --freebind)",
  ],
  [
    rule({ side: "container" }),
    c.EACCES,
    "PORT_FORBIDDEN",
    "cannot listen on TCP port 80 of the container's loopback: it is privileged; " +
      "sysctl net.ipv4.ip_unprivileged_port_start=80 in the container allows it",
  ],
  [
    rule({ interface: "wlan7" }),
    c.ENODEV,
    "USAGE",
    "cannot listen on TCP port 80 of the host on wlan7: there is no such interface",
  ],
  [
    rule(),
    c.EMFILE,
    "PORT_LIMIT",
    "cannot listen on TCP port 80 of the host: too many files are open (see ulimit -n)",
  ],
  [rule(), c.EIO, "INTERNAL", "cannot listen on TCP port 80 of the host: EIO"],
] as const)("%#: an error says what and why", (each, errno, code, message) => {
  expect(portError(each, 80, errno)).toMatchObject({ code, message });
});

test("programs get the parts", () => {
  const { details } = portError(rule({ protocol: "udp", address: "2001:db8::1" }), 53, c.EADDRINUSE);
  expect(details).toEqual({
    side: "host",
    protocol: "udp",
    address: "2001:db8::1",
    port: 53,
    errno: "EADDRINUSE",
  });
  expect(portError(rule(), 53, c.EADDRINUSE).details).not.toHaveProperty("address");
});

test("failures are told in one sentence, however many", () => {
  const failures = new Map([
    [5432, c.EADDRINUSE],
    ...Array.from({ length: 1023 }, (_, i): [number, number] => [i + 1, c.EACCES]),
    [3306, c.EADDRINUSE],
  ]);
  expect(describeFailures(rule(), failures)).toBe(
    "TCP of the host: not forwarded: 3306, 5432 (another program listens there); " +
      "1-1023 (it is privileged; sysctl net.ipv4.ip_unprivileged_port_start=1 allows it, " +
      'or systemd opens it: README.md, "Ports below 1024")',
  );
  const many = new Map(Array.from({ length: 13 }, (_, i): [number, number] => [2 * i + 1, c.EADDRINUSE]));
  expect(describeFailures(rule(), many)).toBe(
    "TCP of the host: not forwarded: 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 3 more (another program listens there)",
  );
});
