import { expect, test } from "@jest/globals";
import { NO_SERVER, Resolvers, serverBit } from "../../../src/forward/resolvers.ts";
import { ip } from "../../support/fake-net.ts";

const SERVERS = ["198.51.100.53", "2001:db8::53", "198.51.100.54"].map(ip);

test("the order of preference comes back", () => {
  const resolvers = new Resolvers({ dnsServers: SERVERS });
  expect(resolvers.next(0, 1000)).toBe(0);
  resolvers.failed(0, 1000);
  expect(resolvers.next(0, 30_999)).toBe(1);
  expect(resolvers.next(0, 31_000)).toBe(0);
});

test("all are asked in the end, those that work first", () => {
  const resolvers = new Resolvers({ dnsServers: SERVERS });
  resolvers.failed(resolvers.next(0, 1000), 1000);
  const order: number[] = [];
  let asked = 0;
  for (let next = 0; (next = resolvers.next(asked, 1000)) !== NO_SERVER; asked |= serverBit(next)) {
    order.push(next);
  }
  expect(order).toEqual([1, 2, 0]);
  expect(resolvers.nextWorking(serverBit(1) | serverBit(2), 1000)).toBe(NO_SERVER);
});

test("when all have failed, they are asked in order", () => {
  const resolvers = new Resolvers({ dnsServers: SERVERS });
  for (const server of SERVERS) resolvers.failed(resolvers.indexOf(server, 0), 1000);
  expect([resolvers.next(0, 1000), resolvers.next(serverBit(0), 1000)]).toEqual([0, 1]);
});

test("one that answers others meanwhile is merely slow", () => {
  const resolvers = new Resolvers({ dnsServers: SERVERS });
  resolvers.heard(resolvers.next(0, 1500), 1500);
  resolvers.failed(0, 2000, 1000);
  expect(resolvers.next(0, 2000)).toBe(0);
  resolvers.failed(0, 2600, 1600);
  expect(resolvers.next(0, 2600)).toBe(1);
});

test("another list begins anew, and may be shorter", () => {
  const rules = { dnsServers: SERVERS };
  const resolvers = new Resolvers(rules);
  resolvers.failed(resolvers.next(0, 1000), 1000);
  rules.dnsServers = SERVERS.slice(0, 1);
  expect([resolvers.next(0, 1000), resolvers.next(serverBit(0), 1000)]).toEqual([0, NO_SERVER]);
  expect(resolvers.indexOf(SERVERS[1], 0)).toBe(NO_SERVER);
  rules.dnsServers = [];
  expect(resolvers.next(0, 1000)).toBe(NO_SERVER);
});

test("the eighth is the last", () => {
  const dnsServers = Array.from({ length: 20 }, (_, i) => ip(`198.51.100.${i + 1}`));
  const resolvers = new Resolvers({ dnsServers });
  expect(resolvers.next(0x7f, 0)).toBe(7);
  expect(resolvers.next(0xff, 0)).toBe(NO_SERVER);
  expect(resolvers.indexOf(dnsServers[8], 0)).toBe(NO_SERVER);
});
