import { expect, test } from "@jest/globals";
import { HOOK_OPTIONS, NETAVARK_OPTIONS, runtimeRequest } from "../../../src/commands/options.ts";
import { parseArguments } from "../../../src/config/command-line.ts";
import { parseAttachment, parseNetwork, type PortMapping } from "../../../src/netavark/documents.ts";
import { containerWords, networkWords } from "../../../src/netavark/words.ts";

/** As netavark writes it; `changes` are those of the network. */
function words(
  changes: Record<string, unknown>,
  own: Record<string, unknown> = {},
  port_mappings: readonly Partial<PortMapping>[] | null = null,
): string[] {
  const network = {
    dns_enabled: true,
    driver: "bucatini",
    id: "4336",
    internal: false,
    ipv6_enabled: false,
    name: "n1",
    network_interface: null,
    options: null,
    ipam_options: null,
    subnets: null,
    routes: null,
    network_dns_servers: null,
    ...changes,
  };
  const attachment = parseAttachment(
    JSON.stringify({
      container_id: "a164",
      container_name: "c1",
      port_mappings,
      network,
      network_options: {
        aliases: ["al"],
        interface_name: "net7",
        static_ips: null,
        static_mac: null,
        options: null,
        ...own,
      },
    }),
  );
  return containerWords(parseNetwork(JSON.stringify(attachment.network)), attachment, NETAVARK_OPTIONS);
}

const SUBNET_4 = { gateway: "10.66.0.1", lease_range: null, subnet: "10.66.0.0/24" };
const SUBNET_6 = { gateway: "2001:db8:66::1", lease_range: null, subnet: "2001:db8:66::/64" };

test("without subnets the container has the host's addresses", () => {
  expect(words({})).toEqual(["--no-map-gw", "--ifname=net7"]);
});

test("a network says whether and how its containers follow the host, and a container otherwise", () => {
  const options = { follow: "false", addressing: "private", carrier: "follow" };
  expect(words({ options }, { options: { addressing: "mirror" } })).toEqual([
    "--no-map-gw",
    "--no-follow",
    "--addressing=mirror",
    "--carrier=follow",
    "--ifname=net7",
  ]);
});

test("with subnets it has the addresses that were chosen, and no other family", () => {
  const own = { static_ips: ["10.66.0.50"], static_mac: "9a:00:00:00:00:09" };
  expect(words({ subnets: [SUBNET_4] }, own)).toEqual([
    "--no-map-gw",
    "--ipv4-only",
    "--ifname=net7",
    "--address=10.66.0.50/24",
    "--gateway=10.66.0.1",
    "--mac=9a:00:00:00:00:09",
  ]);
  expect(words({ subnets: [SUBNET_6] }, { static_ips: ["2001:db8:66::2"] })).toContain("--ipv6-only");
  expect(words({ subnets: [SUBNET_4, SUBNET_6] }, { static_ips: ["2001:db8:66::2", "10.66.0.2"] })).toEqual([
    "--no-map-gw",
    "--ifname=net7",
    "--address=10.66.0.2/24",
    "--gateway=10.66.0.1",
    "--address=2001:db8:66::2/64",
    "--gateway=2001:db8:66::1",
  ]);
});

test("options are those of the command line, and a container's come before its network's", () => {
  const network = { options: { mtu: "1400", "no-offload": "true" }, network_interface: "eth1" };
  expect(words({ ...network, network_dns_servers: ["192.0.2.53"] }, { options: { mtu: "1500" } })).toEqual([
    "--no-map-gw",
    "--mtu=1500",
    "--no-offload",
    "--interface=eth1",
    "--dns-host=192.0.2.53",
    "--ifname=net7",
  ]);
});

test("ranges of ports are counted", () => {
  const port = { container_port: 80, host_ip: "", host_port: 8080, protocol: "tcp", range: 1 };
  const ports = [
    port,
    { ...port, container_port: 53, host_port: 5300, host_ip: "127.0.0.1", protocol: "udp", range: 2 },
    { ...port, host_ip: "::", range: 0 },
    { container_port: 90, host_port: 90, protocol: "TCP,udp" },
  ];
  expect(words({}, {}, ports).slice(2)).toEqual([
    "--tcp-ports=8080-8080:80-80",
    "--udp-ports=127.0.0.1/5300-5301:53-54",
    "--tcp-ports=[::]/8080-8080:80-80",
    "--tcp-ports=90-90:90-90",
    "--udp-ports=90-90:90-90",
  ]);
  const parsed = parseArguments(words({}, {}, ports), HOOK_OPTIONS);
  expect(runtimeRequest(parsed, "c1", { netns: "/run/netns/c1" }).network.ports.rules).toHaveLength(5);
});

test.each([
  [{ internal: true }, {}, "an internal one would lead nowhere"],
  [{ routes: [{ destination: "10.0.0.0/8", gateway: "10.66.0.9" }] }, {}, "it has routes"],
  [{ subnets: [{ subnet: "10.66.0.0" }] }, {}, "its subnet 10.66.0.0 is no prefix"],
  [{ subnets: [SUBNET_4] }, {}, "no address of its subnet 10.66.0.0/24 has been chosen"],
  [{ subnets: [SUBNET_4] }, { static_ips: ["10.67.0.2"] }, "10.67.0.2 is in none of its subnets"],
  [{}, { static_ips: ["10.67.0.2"] }, "10.67.0.2 is in none of its subnets"],
  [{ subnets: [{ ...SUBNET_4, gateway: null }] }, { static_ips: ["10.66.0.2"] }, "has no gateway"],
  [
    { subnets: [SUBNET_4], options: { address: "10.66.0.2/24" } },
    { static_ips: ["10.66.0.2"] },
    "its subnets say what the option address says",
  ],
  [
    { subnets: [SUBNET_4], options: { addressing: "private" } },
    { static_ips: ["10.66.0.2"] },
    "its subnets say what the option addressing says",
  ],
])("%j with %j is refused: %s", (network, own, why) => {
  expect(() => words(network, own)).toThrow(`cannot make the network n1: `);
  expect(() => words(network, own)).toThrow(why);
});

test.each(["mtus", "ifname", "name", "netns", "constructor"])("there is no option %s", (name) => {
  expect(() => words({ options: { [name]: "1" } })).toThrow(
    `cannot use the option ${name} of the network n1: there is no such option`,
  );
});

test.each(["sctp", "constructor", "tcp,sctp"])("ports of %s cannot be published", (protocol) => {
  expect(() => words({}, {}, [{ container_port: 80, host_port: 80, protocol }])).toThrow(
    "only tcp and udp can be forwarded",
  );
});

test("a network can be made before there are containers", () => {
  const network = parseNetwork(
    JSON.stringify({ name: "n1", id: "1", driver: "bucatini", subnets: [SUBNET_4], internal: false }),
  );
  expect(networkWords(network, NETAVARK_OPTIONS)).toEqual(["--no-map-gw", "--ipv4-only"]);
});

test.each([
  ["{", "it is no JSON"],
  ["{}", "/ must have required property 'container_id'"],
  [
    '{"container_id":"a","network_options":{"interface_name":"e"},"port_mappings":[{"host_port":1}]}',
    "/port_mappings/0 must have required property 'container_port'",
  ],
  [
    '{"container_id":"a","network_options":{"interface_name":7}}',
    "/network_options/interface_name must be string",
  ],
])("%s is refused", (text, why) => {
  expect(() => parseAttachment(text)).toThrow(`cannot understand the container's network on stdin: ${why}; `);
});
