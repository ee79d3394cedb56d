import { beforeEach, expect, test } from "@jest/globals";
import { formatIp } from "../../../src/base/address.ts";
import { FakeStack } from "../../support/fake-stack.ts";
import { ip } from "../../support/fake-net.ts";

let fake: FakeStack;
beforeEach(() => {
  fake = new FakeStack();
});

const seen4 = (): string => formatIp(fake.net.rules.v4.seen);
const seen6 = (): string => formatIp(fake.net.rules.v6.seen);
const seenLinkLocal = (): string => formatIp(fake.net.rules.v6.seenLinkLocal);

test("at first the container is where it was put", () => {
  expect([seen4(), seen6(), seenLinkLocal()]).toEqual(["192.0.2.10", "2001:db8::10", "::"]);
});

test("then it is where its packets come from", () => {
  fake.send({ from: "192.0.2.77" });
  fake.send({ to: "2001:db8:9::9", from: "2001:db8::77" });
  expect([seen4(), seen6(), seenLinkLocal()]).toEqual(["192.0.2.77", "2001:db8::77", "::"]);
});

test("a link-local address takes its own place, even with the same interface identifier", () => {
  fake.send({ to: "fe80::1", from: "fe80::10" });
  expect([seen6(), seenLinkLocal()]).toEqual(["2001:db8::10", "fe80::10"]);
});

test("a link-local address is better than none, until there is another", () => {
  fake.net.rules.v6.seen.fill(0);
  fake.send({ to: "fe80::1", from: "fe80::10" });
  expect([seen6(), seenLinkLocal()]).toEqual(["fe80::10", "fe80::10"]);
  fake.send({ to: "2001:db8:9::9", from: "2001:db8::77" });
  expect([seen6(), seenLinkLocal()]).toEqual(["2001:db8::77", "fe80::10"]);
});

test.each(["0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1"])("nobody is at %s", (from) => {
  fake.send({ from });
  expect(seen4()).toBe("192.0.2.10");
});

test.each(["::", "ff02::1", "::1", "::ffff:192.0.2.99"])("nobody is at %s", (from) => {
  fake.send({ to: "2001:db8:9::9", from });
  expect([seen4(), seen6(), seenLinkLocal()]).toEqual(["192.0.2.10", "2001:db8::10", "::"]);
});

test("an address that was given stays, whatever is overheard", () => {
  fake.net.rules.v4.isFixed = true;
  fake.net.rules.v6.isFixed = true;
  fake.send({ from: "192.0.2.77" });
  fake.send({ to: "2001:db8:9::9", from: "2001:db8::77" });
  fake.send({ to: "fe80::1", from: "fe80::77" });
  expect([seen4(), seen6(), seenLinkLocal()]).toEqual(["192.0.2.10", "2001:db8::10", "fe80::77"]);
});

test("what was configured is not written to", () => {
  fake.send({ from: "192.0.2.77" });
  expect(fake.net.link.v4.assigned).toEqual([ip("192.0.2.10")]);
});
