/** What ADD is asked for, read from calls as container runtimes make them. */
import { expect, test } from "@jest/globals";
import type { CniRequest } from "../../../src/cni/dispatch.ts";
import { CniError } from "../../../src/cni/errors.ts";
import { readWanted, type Wanted } from "../../../src/cni/wanted.ts";
import { DEFAULT_PORTS } from "../../../src/config/options.ts";

function wanted(config: Record<string, unknown>, CNI_ARGS = ""): Wanted {
  const request: CniRequest = {
    containerId: "c1",
    ifname: "eth0",
    netns: "/run/netns/blue",
    version: "1.0.0",
    config: { name: "net", type: "bucatini", ...config },
    input: "",
    environment: { CNI_ARGS },
  };
  return readWanted(request, { first: 32_768, last: 60_999 });
}

test("Podman 4: a configuration of 0.4.0 with aliases by network, address and MAC address in CNI_ARGS", () => {
  const config = {
    capabilities: { aliases: true, portMappings: true },
    cniVersion: "0.4.0",
    mtu: 1500,
    name: "um",
    runtimeConfig: {
      aliases: { um: ["foo", "56cc55b30c2e"] },
      portMappings: [
        { hostPort: 8080, containerPort: 80, protocol: "tcp" },
        { hostPort: 9000, containerPort: 90, protocol: "udp", hostIP: "127.0.0.1" },
      ],
    },
  };
  const args = "IgnoreUnknown=1;K8S_POD_NAME=a1;MAC=9a:00:00:00:00:05;IP=10.77.0.2";
  expect(wanted(config, args)).toMatchObject({
    name: "um",
    network: {
      addresses: ["10.77.0.2"],
      mac: "9a:00:00:00:00:05",
      mtu: 1500,
      interfaceName: "eth0",
      ports: {
        ...DEFAULT_PORTS,
        rules: [
          { side: "host", protocol: "tcp", first: 8080, last: 8080, targetFirst: 80 },
          { side: "host", protocol: "udp", address: "127.0.0.1", first: 9000, last: 9000, targetFirst: 90 },
        ],
      },
    },
    dns: {},
  });
});

test("containerd: keys with capitals, annotations of the pod, and arguments in any order", () => {
  const config = {
    cniVersion: "1.1.0",
    mtu: 1400,
    runtimeConfig: {
      bandwidth: {
        IngressRate: 10_000_000,
        IngressBurst: 4_294_967_295,
        EgressRate: 20_000_000,
        EgressBurst: 4_294_967_295,
      },
      cgroupPath: "/k8s",
      dns: { Servers: ["10.1.1.1"], Searches: ["a.example"], Options: ["ndots:5"] },
      "io.kubernetes.cri.pod-annotations": { a: "b" },
      portMappings: [
        { HostPort: 8080, ContainerPort: 80, Protocol: "tcp", HostIP: "" },
        { HostPort: 5353, ContainerPort: 53, Protocol: "udp", HostIP: "127.0.0.1" },
      ],
    },
  };
  const { network, dns } = wanted(config, "K8S_POD_NAMESPACE=ns1;K8S_POD_UID=uid-1;IgnoreUnknown=1");
  expect(network.bandwidth).toEqual({
    // The largest number of 32 bits says nothing in particular.
    ingress: { rate: 1_250_000, burst: 131_072 },
    egress: { rate: 2_500_000, burst: 250_000 },
  });
  expect(network.ports.rules).toHaveLength(2);
  expect(dns).toEqual({ nameservers: ["10.1.1.1"], search: ["a.example"], options: ["ndots:5"] });
});

test.each([
  ["IP=10.0.0.5/24,2001:DB8::5/64", ["10.0.0.5/24", "2001:db8::5/64"]],
  [";;IP=10.0.0.5;", ["10.0.0.5"]],
  ["IP=;MAC=", []],
  ["ignoreunknown=1;IgnoreUnknown=TRUE;A=B=C", []],
])("CNI_ARGS %s", (args, addresses) => {
  expect(wanted({}, args).network.addresses).toEqual(addresses);
});

test.each([
  ["IP", "CNI_ARGS: IP is no KEY=VALUE"],
  ["=1", "CNI_ARGS: =1 is no KEY=VALUE"],
  ["IP=10.0.0.300", "CNI_ARGS: IP=10.0.0.300: not an address a host can have"],
  ["MAC=x", "CNI_ARGS: MAC=x: not the MAC address"],
  [
    "K8S_POD_NAME=p;A=1",
    "CNI_ARGS: nothing is known of K8S_POD_NAME, A; take it away, or add IgnoreUnknown=1",
  ],
  ["A=1;IgnoreUnknown=0", "CNI_ARGS: nothing is known of A"],
  ["A=1;IgnoreUnknown=yes", "CNI_ARGS: IgnoreUnknown=yes is neither 1 nor 0"],
])("CNI_ARGS %s is an error of the environment", (args, details) => {
  let error: unknown;
  try {
    wanted({}, args);
  } catch (cause) {
    error = cause;
  }
  expect(error).toBeInstanceOf(CniError);
  expect(error).toMatchObject({ code: 4, details: expect.stringContaining(details) });
});

test("keys for an IPAM plugin may be in CNI_ARGS", () => {
  expect(wanted({ ipam: { type: "static" } }, "GATEWAY=10.0.0.1").ipam).toBe("static");
});

test.each([
  [{ ips: [{ address: "10.0.0.5" }] }, "/prevResult/ips/0/address is 10.0.0.5: not an address with a prefix"],
  [{ ips: [{ address: 7 }] }, "/prevResult/ips/0/address must be text"],
  [{ ips: {} }, "/prevResult/ips must be a list"],
  [
    { interfaces: [{ name: "a" }], ips: [{ address: "10.0.0.5/8", interface: 1 }] },
    "/prevResult/ips/0/interface is 1, but there are 1 interfaces",
  ],
  [{ ips: [{ address: "10.0.0.5/8", interface: "0" }] }, "/prevResult/ips/0/interface must be an integer"],
  [{ interfaces: [{}] }, "/prevResult/interfaces/0/name must be text"],
  [{ routes: [{ dst: "10.0.0.0/8", gw: "x" }] }, "/prevResult/routes/0/gw is x: not an IP address"],
  [{ cniVersion: "9.0.0" }, "/prevResult/cniVersion is 9.0.0, which is not known here"],
  [{ cniVersion: "0.2.0", ip4: { ip: "10.0.0.5" } }, "/prevResult/ip4/ip is 10.0.0.5: not an address with"],
  [{ dns: { search: [1] } }, "/prevResult/dns/search/0 must be text"],
  ["text", "/prevResult must be an object"],
])("a result %j of the plugins before: %s", (prevResult, message) => {
  expect(() => wanted({ prevResult })).toThrow(message);
});
