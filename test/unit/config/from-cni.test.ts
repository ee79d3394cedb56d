import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkCniConfig } from "../../../src/config/cni-config.ts";
import { askedDns, type CniArguments } from "../../../src/config/cni-runtime.ts";
import { ConfigError } from "../../../src/config/config-error.ts";
import { networkFromCni, processFromCni } from "../../../src/config/from-cni.ts";
import { DEFAULT_NETWORK, DEFAULT_PORTS, type NetworkOptions } from "../../../src/config/options.ts";

const ROOT = join(__dirname, "../../..");

const checked = (config: Record<string, unknown>) =>
  checkCniConfig({ name: "net", type: "bucatini", ...config });
const network = (config: Record<string, unknown>, args: CniArguments = { ips: [] }): NetworkOptions =>
  networkFromCni(checked(config), { ifname: "eth0", args, ephemeral: { first: 32_768, last: 60_999 } });

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
    follow: false,
    addressing: "private",
    carrier: "up",
    addresses: ["10.1.0.5/16", "2001:DB8::5"],
    gateways: ["10.1.0.1", "2001:db8:0::1"],
    mtu: 1400,
    mac: "02-00-00-00-00-0A",
    ourMac: "02:00:00:00:00:0b",
    interface: "wlan0",
    mapGateway: false,
    mapHostLoopback: ["10.1.0.2", "10.1.0.3"],
    mapGuestAddr: ["2001:db8::9"],
    dnsForward: ["10.1.0.53"],
    dnsHost: ["9.9.9.9", "127.0.0.53"],
    outbound: ["192.0.2.7"],
    outboundInterface: "wlan0",
    outboundInterface6: "wg0",
    routerAdvertisements: true,
    dhcp: true,
    tcpPorts: ["8080:80", "127.0.0.1/2222:22"],
    udpNs: ["53"],
    hostLoopbackToContainer: true,
    freebind: true,
    without: ["icmp"],
    ingressRate: 8_000_000,
    egressRate: 80,
    egressBurst: 16_000,
    offload: false,
    flows: 1024,
    logLevel: "debug",
  };
  expect(network(config)).toEqual({
    follow: false,
    addressing: "private",
    carrier: "up",
    ipv4: true,
    configure: true,
    dhcp: { ipv4: true, ipv6: true },
    without: ["icmp"],
    ipv6: true,
    interfaceName: "eth0",
    addresses: ["10.1.0.5/16", "2001:db8::5"],
    gateways: ["10.1.0.1", "2001:db8::1"],
    mtu: 1400,
    mac: "02:00:00:00:00:0a",
    ourMac: "02:00:00:00:00:0b",
    template: "wlan0",
    mapGateway: false,
    mapHostLoopback: ["10.1.0.3"],
    mapGuest: ["2001:db8::9"],
    dnsForward: ["10.1.0.53"],
    dnsHosts: ["9.9.9.9", "127.0.0.53"],
    outbound: ["192.0.2.7"],
    outboundInterface4: "wlan0",
    outboundInterface6: "wg0",
    routerAdvertisements: true,
    ports: {
      ...DEFAULT_PORTS,
      rules: [
        { side: "host", protocol: "tcp", first: 8080, last: 8080, targetFirst: 80 },
        { side: "host", protocol: "tcp", address: "127.0.0.1", first: 2222, last: 2222, targetFirst: 22 },
        { side: "container", protocol: "udp", interface: "lo", first: 53, last: 53, targetFirst: 53 },
      ],
      hostLoopbackToContainer: true,
      freebind: true,
    },
    bandwidth: { ingress: { rate: 1_000_000, burst: 131_072 }, egress: { rate: 10, burst: 2000 } },
    offload: false,
    flows: 1024,
    logLevel: "debug",
  });
  expect(network({ mtu: 0 }).mtu).toBe(0);
  expect(network({ carrier: "follow" }).carrier).toBe("follow");
  expect(network({ ipv4: false, dhcp: true })).toMatchObject({
    ipv4: false,
    ipv6: true,
    dhcp: { ipv4: false, ipv6: true },
  });
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
  [{ follow: "yes" }, "/follow must be boolean"],
  [{ addressing: "nat" }, "/addressing must be equal to one of the allowed values: mirror, private"],
  [{ carrier: "down" }, "/carrier must be equal to one of the allowed values: up, follow"],
  [{ carrier: "follow", follow: false }, '/carrier must not be "follow" when /follow is false'],
  [
    { logLevel: "loud" },
    "/logLevel must be equal to one of the allowed values: error, warn, info, debug, trace",
  ],
  [{ logFile: "engine.log" }, '/logFile must match pattern "^/"'],
  [{ dns: { nameservers: "10.0.0.1" } }, "/dns/nameservers must be array"],
  [{ dns: { search: [1] } }, "/dns/search/0 must be string"],
  [{ runtimeConfig: [] }, "/runtimeConfig must be object"],
  [{ tcpPorts: ["80", "eighty"] }, "/tcpPorts/1 is eighty: a port should stand here, at character 1"],
  [{ udpPorts: "53" }, "/udpPorts must be array"],
  [
    { splice: false, hostLoopbackToContainer: true },
    "/hostLoopbackToContainer must not be true when /splice",
  ],
  [{ without: ["sctp"] }, "/without/0 must be equal to one of the allowed values: tcp, udp, icmp, ndp"],
  [{ ingressRate: -1 }, "/ingressRate must be >= 0"],
  [{ egressBurst: "1M" }, "/egressBurst must be integer"],
  [{ captureFile: "x.pcap" }, '/captureFile must match pattern "^/"'],
  [{ logLimit: 10 }, "/logLimit must be >= 40960"],
  [{ runAs: { uid: 65534 } }, "/runAs must have required property 'gid'"],
  [{ ipam: { type: "../sh" } }, "/ipam/type must match pattern"],
  [{ ipam: { type: 7 } }, "/ipam/type must be string"],
  [{ ipam: { ranges: [] } }, "/ipam must have a type"],
  [
    { ipam: { type: "static" }, addresses: ["10.0.0.1/24"] },
    "/addresses must not be given together with /ipam",
  ],
  [{ runtimeConfig: { ips: ["10.0.0.300"] } }, "/runtimeConfig/ips/0 is 10.0.0.300: not an address"],
  [{ runtimeConfig: { IPs: "10.0.0.3" } }, "/runtimeConfig/IPs must be a list"],
  [{ runtimeConfig: { Mac: "x" } }, "/runtimeConfig/Mac is x: not the MAC address"],
  [{ runtimeConfig: { mac: 7 } }, "/runtimeConfig/mac must be text"],
  [{ args: { cni: { ips: [1] } } }, "/args/cni/ips/0 must be text"],
  [{ runtimeConfig: { bandwidth: { IngressRate: "1M" } } }, "/runtimeConfig/bandwidth/IngressRate must be a"],
  [{ ipv6: false, runtimeConfig: { ips: ["2001:db8::5/64"] } }, "/runtimeConfig/ips has 2001:db8::5/64, but"],
])("%j: %s", (config, message) => {
  const error = errorOf(config);
  expect(error.message).toContain(message);
  expect(error.isUnsupported).toBe(false);
});

test("DHCP is refused with a reason", () => {
  const error = errorOf({ ipam: { type: "dhcp" } });
  expect(error.message).toContain('/ipam/type is not supported: "dhcp"; it asks on the container\'s link');
  expect(error.isUnsupported).toBe(true);
});

test("addresses: those of the runtime, else of args, else of CNI_ARGS, else of the configuration", () => {
  const all = {
    addresses: ["10.4.0.1/24"],
    args: { cni: { IPs: ["10.2.0.1/24"] } },
    runtimeConfig: { Ips: ["10.1.0.1/24", "2001:DB8::1/64"] },
  };
  const args = { ips: ["10.3.0.1"] };
  expect(network(all, args).addresses).toEqual(["10.1.0.1/24", "2001:db8::1/64"]);
  expect(network({ ...all, runtimeConfig: { ips: [] } }, args).addresses).toEqual(["10.2.0.1/24"]);
  expect(network({ ...all, runtimeConfig: null, args: null }, args).addresses).toEqual(["10.3.0.1"]);
  expect(network({ ...all, runtimeConfig: {}, args: { cni: null } }).addresses).toEqual(["10.4.0.1/24"]);
});

test("an address that is asked for replaces those of its family, and has the length of the network it is in", () => {
  const addresses = ["10.4.0.1/25", "10.5.0.1/26", "2001:db8::1/80"];
  const asking = (...ips: string[]): string[] => network({ addresses, runtimeConfig: { ips } }).addresses;
  expect(asking("10.5.0.9")).toEqual(["10.5.0.9/26", "2001:db8::1/80"]);
  expect(asking("2001:db8::9")).toEqual(["2001:db8::9/80", "10.4.0.1/25", "10.5.0.1/26"]);
  expect(asking("10.4.0.9/8", "2001:db8:1::9")).toEqual(["10.4.0.9/8", "2001:db8:1::9"]);
});

test("an IPAM plugin reads for itself what is asked for", () => {
  const config = { ipam: { type: "static" }, runtimeConfig: { ips: ["10.1.0.1/24"] } };
  expect(network(config, { ips: ["10.3.0.1"] }).addresses).toEqual([]);
});

const mac = (last: number): string => `02:00:00:00:00:0${last}`;

test("the MAC address: that of the runtime, else of args, else of CNI_ARGS, else of the configuration", () => {
  const all = { mac: mac(4), args: { cni: { MAC: mac(2) } }, runtimeConfig: { Mac: mac(1) } };
  const args = { ips: [], mac: mac(3) };
  expect(network(all, args).mac).toBe(mac(1));
  expect(network({ ...all, runtimeConfig: {} }, args).mac).toBe(mac(2));
  expect(network({ mac: mac(4), args: { other: 1 } }, args).mac).toBe(mac(3));
  expect(network({ mac: mac(4) }).mac).toBe(mac(4));
});

test.each([
  [{ ingressRate: 0, egressRate: 0 }, undefined],
  [{ ingressBurst: 800 }, undefined],
  [{ IngressRate: 8, IngressBurst: 4_294_967_294 }, { ingress: { rate: 1, burst: 536_870_911 } }],
  // As Kubernetes' runtimes say that there is none.
  [{ IngressRate: 8, IngressBurst: 4_294_967_295 }, { ingress: { rate: 1, burst: 131_072 } }],
  [{ egressRate: 1, egressBurst: 1 }, { egress: { rate: 1, burst: 1 } }],
  [{ egressRate: 800_000_000 }, { egress: { rate: 100_000_000, burst: 10_000_000 } }],
])("the runtime limits the bandwidth by bits: %j", (bandwidth, bytes) => {
  // It takes the place of the configuration's own limits.
  expect(network({ ingressRate: 80, runtimeConfig: { bandwidth } }).bandwidth).toEqual(bytes);
});

test.each([
  [{}, {}],
  [{ dns: null, runtimeConfig: null }, {}],
  [
    { dns: { nameservers: ["10.0.0.1"], domain: "d.test", search: ["s.test"] } },
    { nameservers: ["10.0.0.1"], domain: "d.test", search: ["s.test"] },
  ],
  [
    {
      dns: { nameservers: ["10.0.0.1"], search: ["s.test"] },
      runtimeConfig: { dns: { Servers: ["10.1.1.1"], Searches: null, Options: ["ndots:5"] } },
    },
    { nameservers: ["10.1.1.1"], search: ["s.test"], options: ["ndots:5"] },
  ],
])("resolvers of %j", (config, dns) => {
  expect(askedDns(checked(config))).toEqual(dns);
});

test("options of the engine's process", () => {
  const options = {
    logFile: "/tmp/log",
    logLimit: 65_536,
    captureFile: "/tmp/x.pcap",
    runAs: { uid: 65_534, gid: 65_534 },
  };
  expect(processFromCni(checked(options))).toEqual(options);
  expect(processFromCni(checked({}))).toEqual({});
});

test.each([
  [{ portMappings: null }, []],
  [{ portMappings: [] }, []],
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
  [{ portMappings: {} }, "/runtimeConfig/portMappings must be a list"],
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
  [
    { portMappings: [{ hostPort: 1, containerPort: 1, protocol: ["tcp"] }] },
    "/runtimeConfig/portMappings/0/protocol must be text",
  ],
  [
    { portMappings: [{ hostPort: 1, containerPort: 1, hostIP: "x" }] },
    "hostIP is x: not the address of a host",
  ],
])("published ports %j: %s", (runtimeConfig, message) => {
  const error = errorOf({ runtimeConfig });
  expect(error.message).toContain(message);
  expect(error.isUnsupported).toBe(message.includes("sctp"));
});

test("what a runtime passes on without effect on the connection is no error", () => {
  const runtimeConfig = {
    portMappings: [],
    ips: null,
    dns: { Servers: ["10.1.1.1"] },
    bandwidth: {},
    ipRanges: [[{ subnet: "10.0.0.0/8" }]],
    aliases: { um: ["foo"] },
    "io.kubernetes.cri.pod-annotations": {},
  };
  expect(network({ runtimeConfig })).toEqual(network({}));
});

test("the example in plugin/ is a valid configuration", () => {
  const list = JSON.parse(readFileSync(join(ROOT, "plugin/example.conflist"), "utf8"));
  expect(list.plugins).toHaveLength(1);
  for (const plugin of list.plugins) {
    expect(network({ ...plugin, name: list.name, cniVersion: list.cniVersion })).toBeDefined();
  }
});

test("the README lists every key of the schema", () => {
  const schema = JSON.parse(readFileSync(join(ROOT, "schemas/cni-config.schema.json"), "utf8"));
  const readme = readFileSync(join(ROOT, "plugin/README.md"), "utf8");
  for (const key of Object.keys(schema.properties)) expect(readme).toContain(`\`${key}\``);
});
