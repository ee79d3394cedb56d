import { expect, test } from "@jest/globals";
import { HOOK_OPTIONS, runtimeRequest } from "../../../src/commands/options.ts";
import { parseArguments } from "../../../src/config/command-line.ts";
import { argumentsOf } from "../../../src/oci/annotations.ts";

const ask = (annotations: Record<string, string>): string[] => argumentsOf(annotations, HOOK_OPTIONS);

test("annotations become arguments; those of others, and the one that only switches the hook on, mean nothing", () => {
  expect(ask({ "org.bucatini": "true", "io.kubernetes.cri.container-type": "sandbox" })).toEqual([]);
  expect(ask({ "org.bucatini.mtu": "1400", "org.bucatini.log-level": "debug" })).toEqual([
    "--mtu=1400",
    "--log-level=debug",
  ]);
});

test("options without a value are true or false", () => {
  expect(ask({ "org.bucatini.no-offload": "true", "org.bucatini.ra": "false" })).toEqual(["--no-offload"]);
  expect(() => ask({ "org.bucatini.no-offload": "" })).toThrow(
    "cannot use the annotation org.bucatini.no-offload: it is ; write true or false",
  );
});

test("where an option has an opposite, false is that", () => {
  expect(ask({ "org.bucatini.follow": "false" })).toEqual(["--no-follow"]);
  expect(ask({ "org.bucatini.follow": "true", "org.bucatini.no-follow": "false" })).toEqual(["--follow"]);
});

test("all options of addressing are understood", () => {
  const args = ask({
    "org.bucatini.address": "10.0.0.2/24,10.0.0.3",
    "org.bucatini.netmask": "255.255.0.0",
    "org.bucatini.addressing": "private",
    "org.bucatini.carrier": "follow",
  });
  expect(runtimeRequest(parseArguments(args, HOOK_OPTIONS), "c1-0", { pid: 4711 }).network).toMatchObject({
    addresses: ["10.0.0.2/24", "10.0.0.3/16"],
    addressing: "private",
    carrier: "follow",
    follow: true,
  });
});

test("options that may be repeated have commas; others keep theirs", () => {
  expect(
    ask({ "org.bucatini.address": "10.0.0.2/24, 2001:db8::2/64", "org.bucatini.log-file": "/a,b" }),
  ).toEqual(["--address=10.0.0.2/24", "--address=2001:db8::2/64", "--log-file=/a,b"]);
});

test("specifications of ports have commas of their own, and spaces between them", () => {
  expect(ask({ "org.bucatini.tcp-ports": " 80,~90  192.0.2.1/81" })).toEqual([
    "--tcp-ports=80,~90",
    "--tcp-ports=192.0.2.1/81",
  ]);
});

test.each(["mtus", "", "name", "netns", "foreground", "hostname"])("org.bucatini.%s is refused", (name) => {
  expect(() => ask({ [`org.bucatini.${name}`]: "true" })).toThrow(
    `cannot use the annotation org.bucatini.${name}: there is no such option`,
  );
});

test("they mean what they mean on the command line", () => {
  const args = ask({ "org.bucatini.mtu": "1400", "org.bucatini.ipv6-only": "true" });
  expect(runtimeRequest(parseArguments(args, HOOK_OPTIONS), "c1-0", { pid: 4711 })).toMatchObject({
    name: "c1-0",
    target: { pid: 4711 },
    foreground: false,
    network: { mtu: 1400, ipv4: false, ipv6: true },
  });
});
