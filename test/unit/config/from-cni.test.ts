import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkCniConfig, ConfigError, networkFromCni } from "../../../src/config/from-cni.ts";
import { DEFAULT_NETWORK, DEFAULT_PORTS, type NetworkOptions } from "../../../src/config/options.ts";

const ROOT = join(__dirname, "../../..");

const network = (config: Record<string, unknown>): NetworkOptions =>
  networkFromCni(checkCniConfig({ name: "net", type: "bucatini", ...config }), "eth0");

/** The error of a configuration. */
function errorOf(config: Record<string, unknown>): ConfigError {
  try {
    network(config);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(config)} was accepted`);
}

test("the smallest configuration is the default with the runtime's interface, and the host's loopback closed", () => {
  expect(network({})).toEqual({ ...DEFAULT_NETWORK, interfaceName: "eth0", mapGateway: false });
});

test("keys that are not ours are ignored", () => {
  const foreign = { args: { cni: {} }, "cni.dev/x": 1, capabilities: { aliases: true }, adress: "typo" };
  expect(network(foreign)).toEqual(network({}));
  expect(network({ ipam: {}, prevResult: null, runtimeConfig: null, dns: {} })).toEqual(network({}));
});

test("every key sets what it says, in canonical form", () => {
  const config = {
    addresses: ["10.1.0.5/16", "2001:DB8::5"],
    gateways: ["10.1.0.1", "2001:db8:0::1"],
    mtu: 1400,
    mac: "02-00-00-00-00-0A",
    interface: "wlan0",
    mapGateway: false,
    mapHostLoopback: ["10.1.0.2", "10.1.0.3"],
    mapGuestAddr: ["2001:db8::9"],
    dnsForward: ["10.1.0.53"],
    dnsHost: ["9.9.9.9", "127.0.0.53"],
    outbound: ["192.0.2.7"],
    outboundInterface: "wlan0",
    routerAdvertisements: true,
    offload: false,
    flows: 1024,
    logLevel: "debug",
  };
  expect(network(config)).toEqual({
    ipv4: true,
    configure: true,
    without: [],
    ipv6: true,
    interfaceName: "eth0",
    addresses: ["10.1.0.5/16", "2001:db8::5"],
    gateways: ["10.1.0.1", "2001:db8::1"],
    mtu: 1400,
    mac: "02:00:00:00:00:0a",
    template: "wlan0",
    mapGateway: false,
    mapHostLoopback: ["10.1.0.3"],
    mapGuest: ["2001:db8::9"],
    dnsForward: ["10.1.0.53"],
    dnsHosts: ["9.9.9.9", "127.0.0.53"],
    outbound: ["192.0.2.7"],
    outboundInterface: "wlan0",
    routerAdvertisements: true,
    ports: DEFAULT_NETWORK.ports,
    offload: false,
    flows: 1024,
    logLevel: "debug",
  });
  expect(network({ mtu: 0 }).mtu).toBe(0);
  expect(network({ ipv4: false })).toMatchObject({ ipv4: false, ipv6: true });
});

test('"none" switches mappings off', () => {
  const none = { mapHostLoopback: "none", mapGuestAddr: "none", dnsForward: "none" };
  expect(network(none)).toMatchObject({
    mapHostLoopback: "none",
    mapGuest: "none",
    dnsForward: "none",
    mapGateway: false,
  });
});

test.each([
  [{ name: undefined }, "/ must have required property 'name'"],
  [{ type: undefined }, "/ must have required property 'type'"],
  [{ name: "-x" }, '/name must match pattern "^[A-Za-z0-9][A-Za-z0-9_.-]*$"'],
  [{ addresses: "10.0.0.1/24" }, "/addresses must be array"],
  [{ addresses: ["10.0.0.1/24", 7] }, "/addresses/1 must be string"],
  [
    { addresses: ["10.0.0.1/24", "10.0.0.300/24"] },
    "/addresses/1 is 10.0.0.300/24: not an address a host can have",
  ],
  [{ addresses: ["127.0.0.1/8"] }, "/addresses/0 is 127.0.0.1/8: not an address"],
  [{ gateways: ["10.0.0.0/8"] }, "/gateways/0 is 10.0.0.0/8: not the address of a host"],
  [{ mtu: "1500" }, "/mtu must be integer"],
  [{ mtu: 1500.5 }, "/mtu must be integer"],
  [{ mtu: -1 }, "/mtu must be >= 0"],
  [{ mtu: 67 }, "/mtu must be 0 or >= 68"],
  [{ mtu: 65521 }, "/mtu must be <= 65520"],
  [{ mac: "01:00:00:00:00:00" }, "/mac is 01:00:00:00:00:00: not the MAC address of an interface"],
  [{ interface: "a/b" }, "/interface is a/b: not an interface name"],
  [{ outboundInterface: "" }, "/outboundInterface is : not an interface name"],
  [{ ipv4: "yes" }, "/ipv4 must be boolean"],
  [{ ipv4: false, ipv6: false }, "/ipv6 must not be false together with /ipv4"],
  [{ ipv4: false, addresses: ["10.0.0.1/24"] }, "/addresses has 10.0.0.1/24, but /ipv4 is false"],
  [{ ipv6: false, routerAdvertisements: true }, "/routerAdvertisements must not be true when /ipv6 is false"],
  [{ ipv6: false, gateways: ["2001:db8::1"] }, "/gateways has 2001:db8::1, but /ipv6 is false"],
  [{ ipv6: false, outbound: ["2001:db8::1"] }, "/outbound has 2001:db8::1, but /ipv6 is false"],
  [{ mapHostLoopback: "10.0.0.1" }, '/mapHostLoopback must be "none" or a list of addresses'],
  [{ mapHostLoopback: [] }, '/mapHostLoopback must be "none" or a list of addresses'],
  [{ mapHostLoopback: ["127.0.0.1"] }, "/mapHostLoopback/0 is 127.0.0.1: a loopback address never leaves"],
  [{ dnsForward: [1] }, '/dnsForward must be "none" or a list of addresses'],
  [{ dnsHost: ["resolver"] }, "/dnsHost/0 is resolver: not the address of a host"],
  [{ flows: 15 }, "/flows must be >= 16"],
  [
    { logLevel: "loud" },
    "/logLevel must be equal to one of the allowed values: error, warn, info, debug, trace",
  ],
  [{ logFile: "engine.log" }, '/logFile must match pattern "^/"'],
  [{ dns: { nameservers: "10.0.0.1" } }, "/dns/nameservers must be array"],
  [{ dns: { search: [1] } }, "/dns/search/0 must be string"],
  [{ runtimeConfig: [] }, "/runtimeConfig must be object"],
])("%j: %s", (config, message) => {
  const error = errorOf(config);
  expect(error.message).toContain(message);
  expect(error.isUnsupported).toBe(false);
});

test.each([
  [{ ipam: { type: "host-local" } }, '/ipam is not supported: {"type":"host-local"}'],
  [{ prevResult: { ips: [] } }, '/prevResult is not supported: {"ips":[]}'],
  [{ runtimeConfig: { ips: ["10.0.0.1/24"] } }, '/runtimeConfig/ips is not supported: ["10.0.0.1/24"]'],
  [
    { runtimeConfig: { mac: "02:00:00:00:00:01" } },
    '/runtimeConfig/mac is not supported: "02:00:00:00:00:01"',
  ],
])("%j is said not to be there yet", (config, message) => {
  const error = errorOf(config);
  expect(error.message).toContain(message);
  expect(error.isUnsupported).toBe(true);
});

test.each([
  [{ portMappings: {} }, []],
  [{ portMappings: [{ hostPort: 0, containerPort: 80 }] }, []],
  [
    { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
    [{ side: "host", protocol: "tcp", first: 8080, last: 8080, targetFirst: 80 }],
  ],
  [
    { PortMappings: [{ HostPort: 53, ContainerPort: 5353, Protocol: "UDP", HostIP: "127.0.0.1" }] },
    [{ side: "host", protocol: "udp", address: "127.0.0.1", first: 53, last: 53, targetFirst: 5353 }],
  ],
  [
    { portMappings: [{ hostPort: 1, containerPort: 2, hostIP: "::" }] },
    [{ side: "host", protocol: "tcp", address: "::", first: 1, last: 1, targetFirst: 2 }],
  ],
])("published ports %j", (runtimeConfig, rules) => {
  expect(network({ runtimeConfig }).ports).toEqual({ ...DEFAULT_PORTS, rules });
});

test.each([
  [{ portMappings: "80" }, "/runtimeConfig/portMappings must be a list"],
  [{ portMappings: [80] }, "/runtimeConfig/portMappings/0 must be an object"],
  [
    { portMappings: [{ hostPort: 70_000 }] },
    "/runtimeConfig/portMappings/0/hostPort must be a number from 0",
  ],
  [
    { PortMappings: [{ HostPort: 80 }] },
    "/runtimeConfig/PortMappings/0/containerPort must be a number from 1",
  ],
  [
    { portMappings: [{ hostPort: 1, containerPort: 1, protocol: "sctp" }] },
    'protocol is "sctp": only tcp and udp',
  ],
  [{ portMappings: [{ hostPort: 1, containerPort: 1, hostIP: "x" }] }, 'hostIP is "x": no IP address'],
])("published ports %j: %s", (runtimeConfig, message) => {
  const error = errorOf({ runtimeConfig });
  expect(error.message).toContain(message);
  expect(error.isUnsupported).toBe(false);
});

test("what a runtime passes on without effect on the connection is no error", () => {
  const runtimeConfig = {
    portMappings: [],
    ips: null,
    dns: { Servers: ["10.1.1.1"] },
    aliases: { um: ["foo"] },
    "io.kubernetes.cri.pod-annotations": {},
  };
  expect(network({ runtimeConfig })).toEqual(network({}));
});

test("the example in plugin/ is a valid configuration", () => {
  const list = JSON.parse(readFileSync(join(ROOT, "plugin/example.conflist"), "utf8"));
  expect(list.plugins).toHaveLength(1);
  for (const plugin of list.plugins) {
    const config = checkCniConfig({ ...plugin, name: list.name, cniVersion: list.cniVersion });
    expect(networkFromCni(config, "eth0")).toBeDefined();
  }
});

test("the README lists every key of the schema", () => {
  const schema = JSON.parse(readFileSync(join(ROOT, "schemas/cni-config.schema.json"), "utf8"));
  const readme = readFileSync(join(ROOT, "plugin/README.md"), "utf8");
  for (const key of Object.keys(schema.properties)) expect(readme).toContain(`\`${key}\``);
});
