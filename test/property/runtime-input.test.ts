/** What container runtimes give to the OCI hook and to the netavark plugin, damaged: one sentence says what is wrong. */
import { expect, test } from "@jest/globals";
import * as fc from "fast-check";
import { AppError } from "../../src/base/errors.ts";
import { HOOK_OPTIONS, NETAVARK_OPTIONS, runtimeRequest } from "../../src/commands/options.ts";
import { parseArguments } from "../../src/config/command-line.ts";
import { parseAttachment, parseNetwork } from "../../src/netavark/documents.ts";
import { containerWords } from "../../src/netavark/words.ts";
import { argumentsOf } from "../../src/oci/annotations.ts";
import { parseBundle } from "../../src/oci/bundle.ts";
import { parseOciState } from "../../src/oci/state.ts";

const ANNOTATIONS = {
  "org.bucatini": "true",
  "org.bucatini.mtu": "1400",
  "org.bucatini.no-offload": "true",
  "org.bucatini.address": "10.66.0.2/24,fd66::2/64",
  "org.bucatini.tcp-ports": "80,~90 192.0.2.1/81",
  "org.bucatini.publish": "8080:80,127.0.0.1:5300:53/udp",
};
const STATE = {
  ociVersion: "1.0",
  id: "c1",
  status: "created",
  pid: 4711,
  bundle: "/run",
  annotations: ANNOTATIONS,
};
const BUNDLE = {
  root: { path: "rootfs", readonly: true },
  mounts: [{ destination: "/proc", type: "proc" }],
  linux: { namespaces: [{ type: "network", path: "/run/netns/c1" }] },
};
const ATTACHMENT = {
  container_id: "a164",
  container_name: "nv1",
  port_mappings: [{ container_port: 53, host_ip: "127.0.0.1", host_port: 5300, protocol: "udp", range: 2 }],
  network: {
    dns_enabled: false,
    driver: "bucatini",
    id: "4336",
    internal: false,
    name: "um1",
    network_interface: "eth0",
    options: { mtu: "1400" },
    subnets: [{ gateway: "10.66.0.1", lease_range: null, subnet: "10.66.0.0/24" }],
    routes: null,
    network_dns_servers: ["192.0.2.53"],
  },
  network_options: {
    aliases: ["al"],
    interface_name: "net7",
    static_ips: ["10.66.0.50"],
    static_mac: "9a:00:00:00:00:09",
    options: null,
  },
};

const value = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(null, "", "10.66.0.0/24", "fd66::/64", "fd66::2", "sctp,udp", "%s", "__proto__", "true"),
  fc.integer({ min: -1, max: 70_000 }),
);

/** Every place in a document, as the keys that lead there. */
function places(document: unknown): string[][] {
  if (typeof document !== "object" || document === null) return [[]];
  const deeper = Object.entries(document).flatMap(([key, inner]) =>
    places(inner).map((place) => [key, ...place]),
  );
  return [[], ...deeper];
}

/** The document with another value in one place; unchanged when that place is not there. */
function changed(document: unknown, [key, ...deeper]: readonly string[], to: unknown): unknown {
  if (key === undefined) return to;
  if (typeof document !== "object" || document === null || !Object.hasOwn(document, key)) return document;
  const entries = Object.entries(document).map(([name, inner]) => [
    name,
    name === key ? changed(inner, deeper, to) : (inner as unknown),
  ]);
  return Array.isArray(document) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}

/** "understood", or why not, which must be something that a person understands. */
function outcome(read: () => unknown): string {
  try {
    read();
    return "understood";
  } catch (error) {
    if (error instanceof AppError && error.code === "USAGE") return "refused";
    throw error;
  }
}

const request = (words: readonly string[]): unknown =>
  runtimeRequest(parseArguments(words, HOOK_OPTIONS), "c1", { pid: 1 });

function readAttachment(text: string): void {
  const parsed = parseAttachment(text);
  const network = parseNetwork(JSON.stringify(parsed.network ?? null));
  request(containerWords(network, parsed, NETAVARK_OPTIONS));
}

test.each([
  [
    "the state of a container",
    STATE,
    (text: string) => request(argumentsOf(parseOciState(text).annotations ?? {}, HOOK_OPTIONS)),
  ],
  ["a bundle", BUNDLE, parseBundle],
  ["a container's network", ATTACHMENT, readAttachment],
] as const)("%s", (_, document, read) => {
  const all = places(document);
  const seen = new Set([outcome(() => read(JSON.stringify(document)))]);
  expect(seen).toContain("understood");
  const damage = fc.array(fc.tuple(fc.constantFrom(...all), value), { minLength: 1, maxLength: 2 });
  fc.assert(
    fc.property(damage, (changes) => {
      const damaged = changes.reduce<unknown>((before, [place, to]) => changed(before, place, to), document);
      seen.add(outcome(() => read(JSON.stringify(damaged))));
    }),
    { numRuns: 3000 },
  );
  expect(seen).toEqual(new Set(["understood", "refused"]));
});
