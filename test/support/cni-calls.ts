/** Calls of a CNI plugin as no runtime would make them: good ones, changed in a few places. */
import * as fc from "fast-check";

export interface CniCall {
  readonly environment: Readonly<Record<string, string>>;
  readonly input: string;
}

/** Codes of the specification that a plugin without containers at hand can come to. */
export const CODES = [1, 2, 3, 4, 5, 6, 7, 11, 50, 51];

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.ipV4(), fc.nat(40)).map(([address, length]) => `${address}/${length}`),
  fc.constantFrom(
    "none",
    "eth0",
    "02:00:00:00:00:01",
    "debug",
    "/tmp/log",
    "10.0.0.1/24",
    "8080:80",
    "auto",
    "host-local",
    "__proto__",
    "constructor",
    "sctp",
    "UDP",
    "0.4.0",
    "2001:db8::5/64",
    "../x",
    "x".repeat(10_000),
  ),
);
const scalar = fc.oneof(
  text,
  fc.boolean(),
  fc.integer(),
  fc.double(),
  fc.constant(null),
  fc.constant(2 ** 53),
);

/** Keys that mean something at some depth, in the cases that runtimes use. */
const innerKey = fc.oneof(
  fc.constantFrom(
    "portMappings",
    "PortMappings",
    "hostPort",
    "HostPort",
    "containerPort",
    "protocol",
    "hostIP",
    "ips",
    "IPs",
    "mac",
    "dns",
    "Servers",
    "Searches",
    "options",
    "aliases",
    "bandwidth",
    "IngressRate",
    "ingressBurst",
    "cni",
    "type",
    "interfaces",
    "ip4",
    "ip6",
    "ip",
    "address",
    "gateway",
    "interface",
    "routes",
    "dst",
    "gw",
    "name",
    "sandbox",
    "mtu",
    "cniVersion",
    "containerID",
    "ifname",
    "uid",
    "gid",
    "nameservers",
    "egressRate",
  ),
  text,
);
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    scalar,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(innerKey, tie("value"), { maxKeys: 4 }),
  ),
}));

const version = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0") },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom("1.2.0", "1"), scalar) },
);

/** Pieces that are right by themselves, so that what is changed beside them is reached. */
const good: fc.Arbitrary<Record<string, unknown>> = fc.record(
  {
    runtimeConfig: fc.constantFrom(
      null,
      { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
      {
        PortMappings: [{ HostPort: 53, ContainerPort: 53, Protocol: "UDP", HostIP: "" }],
        IPs: ["10.0.0.9/8"],
      },
      { aliases: { net: ["a"] }, bandwidth: { IngressRate: 80, IngressBurst: 4_294_967_295 } },
    ),
    prevResult: fc.constantFrom(
      {
        cniVersion: "0.4.0",
        interfaces: [{ name: "a" }],
        ips: [{ version: "4", address: "10.0.0.2/8", interface: 0 }],
      },
      { ip4: { ip: "10.0.0.2/8" } },
      { interfaces: null, ips: null, routes: [{ dst: "::/0", gw: "fe80::1" }], dns: { nameservers: null } },
    ),
    ipam: fc.constantFrom({}, { type: "host-local" }, { type: "dhcp" }),
    "cni.dev/valid-attachments": fc.constantFrom(null, [], [{ containerID: "c1", ifname: "eth0" }]),
  },
  { requiredKeys: [] },
);

const configuration = (keys: readonly string[]): fc.Arbitrary<string> =>
  fc
    .record({
      cniVersion: version,
      good,
      changes: fc.dictionary(fc.oneof(fc.constantFrom(...keys, "args"), text), value, { maxKeys: 2 }),
    })
    .map(({ cniVersion, good: pieces, changes }) =>
      JSON.stringify({ name: "net", type: "bucatini", cniVersion, ...pieces, ...changes }),
    );

/** Configurations as they are, cut off, with a character changed, and what is no configuration at all. */
const stdin = (keys: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 16, arbitrary: configuration(keys) },
    {
      weight: 1,
      arbitrary: fc.tuple(configuration(keys), fc.nat(200)).map(([all, end]) => all.slice(0, end)),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(configuration(keys), fc.nat(200), fc.string({ maxLength: 2 }))
        .map(([all, at, change]) => all.slice(0, at) + change + all.slice(at + 1)),
    },
    { weight: 1, arbitrary: fc.oneof(fc.string(), fc.json()) },
  );

/** What can be in an environment: no zero bytes, and text that is whole. */
const variable = text.map((each) => Buffer.from(each.replaceAll("\0", "").slice(0, 2000)).toString());

const environment: fc.Arbitrary<Record<string, string>> = fc
  .record({
    CNI_COMMAND: fc.constantFrom("ADD", "ADD", "ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"),
    changes: fc.dictionary(
      fc.constantFrom("CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS"),
      fc.oneof(
        variable,
        fc.constantFrom("IP=10.0.0.7/24", "MAC=02:00:00:00:00:05;IgnoreUnknown=1;K8S_X=1", "A=1"),
      ),
      { maxKeys: 1 },
    ),
    isChanged: fc.integer({ min: 0, max: 3 }).map((number) => number === 0),
  })
  .map(({ CNI_COMMAND, changes, isChanged }) => ({
    CNI_COMMAND,
    CNI_CONTAINERID: "c1",
    CNI_NETNS: "/run/netns/never",
    CNI_IFNAME: "eth0",
    CNI_PATH: "/nowhere",
    CNI_ARGS: "",
    ...(isChanged && changes),
  }));

/** @param keys those of a configuration */
export const cniCalls = (keys: readonly string[]): fc.Arbitrary<CniCall> =>
  fc.record({ environment, input: stdin(keys) });
