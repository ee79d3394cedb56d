import { expect, test } from "@jest/globals";
import { joinedNetns, mountOverResolvConf, parseBundle } from "../../../src/oci/bundle.ts";

const parse = (changes: Record<string, unknown>) =>
  parseBundle(JSON.stringify({ ociVersion: "1.0.2", root: { path: "rootfs" }, ...changes }));

test("the network namespace that is joined is the one with a path", () => {
  expect(joinedNetns(parse({}))).toBeUndefined();
  expect(joinedNetns(parse({ linux: { namespaces: null } }))).toBeUndefined();
  expect(joinedNetns(parse({ linux: { namespaces: [{ type: "network" }] } }))).toBeUndefined();
  const namespaces = [
    { type: "user", path: "/run/user" },
    { type: "network", path: "/run/netns/web" },
  ];
  expect(joinedNetns(parse({ linux: { namespaces } }))).toBe("/run/netns/web");
});

test("what is mounted over resolv.conf hides it", () => {
  const over = (...destinations: string[]) =>
    mountOverResolvConf(parse({ mounts: destinations.map((destination) => ({ destination })) }));
  expect(mountOverResolvConf(parse({ mounts: null }))).toBeUndefined();
  expect(over("/proc", "/etc/hosts", "/etcetera", "/srv/etc")).toBeUndefined();
  expect(over("/proc", "/etc/resolv.conf")).toBe("/etc/resolv.conf");
  expect(over("/etc/")).toBe("/etc/");
});

test.each([
  [{ root: undefined }, "/ must have required property 'root'"],
  [{ root: { path: "" } }, "/root/path must NOT have fewer than 1 characters"],
  [{ mounts: [{}] }, "/mounts/0 must have required property 'destination'"],
  [{ linux: { namespaces: [{ path: "/" }] } }, "/linux/namespaces/0 must have required property 'type'"],
])("%j is refused with its place", (changes, why) => {
  expect(() => parse(changes)).toThrow(`cannot understand the bundle's config.json: ${why}`);
});
