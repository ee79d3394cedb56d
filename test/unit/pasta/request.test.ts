/** What the words of pasta(1) come to; each option is either obeyed or refused. */
import { describe, expect, test } from "@jest/globals";
import { UsageError } from "../../../src/config/command-line.ts";
import type { PortRuleOptions } from "../../../src/config/options.ts";
import { readWords } from "../../../src/pasta/getopt.ts";
import { PASTA_OPTIONS } from "../../../src/pasta/options.ts";
import { pastaRequest, type PastaRequest } from "../../../src/pasta/request.ts";

const EPHEMERAL = { first: 32_768, last: 60_999 };
const NETNS = "--netns /run/netns/x";

function ask(line: string): PastaRequest {
  const read = readWords(line.split(" "), PASTA_OPTIONS);
  expect(read.error).toBeUndefined();
  return pastaRequest(read, EPHEMERAL);
}

const network = (line: string) => ask(`${line} ${NETNS}`).network;

/** The rules of one option, as "[address/]first-last[:target] scan". */
function rules(line: string, side: "host" | "container", protocol: "tcp" | "udp"): string[] {
  const mine = ({ side: s, protocol: p }: PortRuleOptions): boolean => s === side && p === protocol;
  return network(line)
    .ports.rules.filter(mine)
    .map(({ address, first, last, targetFirst, scan }) =>
      [`${address ?? "*"}/${first}-${last}:${targetFirst}`, ...(scan === true ? ["scan"] : [])].join(" "),
    );
}

/** Words that Podman 5.8 was seen to say. */
const PODMAN =
  "--config-net -t 127.0.0.1/8080-8080:80-80 -u 9000-9002:9000-9002 --dns-forward 169.254.1.1 -T none -U none " +
  "--no-map-gw --quiet --netns /run/user/2000/netns/netns-adca92e1-4949-8aa2-df84-4aa5e74f56ad " +
  "--map-guest-addr 169.254.1.2";

describe("the words of Podman", () => {
  test("come to a request", () => {
    const request = ask(PODMAN);
    expect(request).toMatchObject({
      target: { netns: "/run/user/2000/netns/netns-adca92e1-4949-8aa2-df84-4aa5e74f56ad" },
      netnsOnly: false,
      staysBehind: false,
      foreground: false,
      quiet: true,
      warnings: [],
      network: {
        configure: true,
        mtu: 65_520,
        mapGateway: false,
        mapHostLoopback: [],
        mapGuest: ["169.254.1.2"],
        dnsForward: ["169.254.1.1"],
        routerAdvertisements: false,
        without: [],
        logLevel: "warn",
      },
    });
    expect(request.network.ports).toEqual({
      rules: [
        {
          side: "host",
          protocol: "tcp",
          address: "127.0.0.1",
          first: 8080,
          last: 8080,
          targetFirst: 80,
        },
        { side: "host", protocol: "udp", first: 9000, last: 9002, targetFirst: 9000 },
      ],
      splice: true,
      spliceOnly: false,
      hostLoopbackToContainer: false,
      freebind: false,
    });
  });

  test.each([
    "-t none -u none -T none -U none",
    "--tcp-ports none --udp-ports none --tcp-ns none --udp-ns none",
  ])("%s forwards nothing", (line) => expect(network(line).ports.rules).toEqual([]));

  test("what the user adds comes first, and may repeat", () => {
    const { network: asked, warnings } = ask(
      `--ns-mac-addr 02:00:00:00:00:01 --ns-mac-addr 02:00:00:00:00:02 -6 ${PODMAN.replace("127.0.0.1/", "[::1]/")}`,
    );
    expect(asked.mac).toBe("02:00:00:00:00:02");
    // Podman's own addresses are of IPv4 whatever the user wants.
    expect(asked).toMatchObject({ ipv4: false, mapGuest: [] });
    expect(asked.dnsForward).toBeUndefined();
    expect(warnings).toEqual([]);
  });

  test("as the documentation of Podman has it instead of slirp4netns", () => {
    expect(
      network(
        "--ipv4-only -a 10.0.2.0 -n 24 -g 10.0.2.2 --dns-forward 10.0.2.3 -m 1500 --no-ndp --no-dhcpv6 --no-dhcp",
      ),
    ).toMatchObject({
      addresses: ["10.0.2.0/24"],
      gateways: ["10.0.2.2"],
      dnsForward: ["10.0.2.3"],
      mtu: 1500,
      without: ["ndp"],
      ipv6: false,
    });
  });
});

test("without options, ports are found, the gateway is the host, and the container configures itself", () => {
  for (const side of ["host", "container"] as const) {
    for (const protocol of ["tcp", "udp"] as const) {
      expect(rules("", side, protocol)).toEqual(["*/1-32767:1 scan", "*/61000-65535:61000 scan"]);
    }
  }
  expect(network("")).toMatchObject({
    configure: false,
    mtu: 65_520,
    mapGateway: true,
    mapGuest: [],
    routerAdvertisements: true,
    dhcp: { ipv4: true, ipv6: true },
    advertise: { resolvers: [], searchDomains: [] },
    logLevel: "info",
  });
});

test.each([
  ["-t 80", "host", "tcp", ["*/80-80:80"]],
  ["-t80", "host", "tcp", ["*/80-80:80"]],
  ["-t ::1/8081-8081:81-81", "host", "tcp", ["::1/8081-8081:81"]],
  ["-t 80 --tcp-ports=81", "host", "tcp", ["*/80-80:80", "*/81-81:81"]],
  ["-u 127.0.0.1%lo/53", "host", "udp", ["127.0.0.1/53-53:53"]],
  ["-T 5201", "container", "tcp", ["*/5201-5201:5201"]],
  ["-U 5201:5202", "container", "udp", ["*/5201-5201:5202"]],
] as const)("%s", (line, side, protocol, wanted) => {
  expect(rules(line, side, protocol)).toEqual(wanted);
});

test.each([
  ["-d", { network: { logLevel: "debug" }, quiet: false }],
  ["--trace", { network: { logLevel: "trace" } }],
  ["-q", { network: { logLevel: "warn" }, quiet: true }],
  ["-q -d", { network: { logLevel: "debug" }, quiet: false }],
  ["--stats 5 -f", { process: { statsSeconds: 5 }, foreground: true }],
  ["-e", { process: { logLimit: 1_048_576 } }],
  ["-l /tmp/x --log-size 100000", { process: { logFile: "/tmp/x", logLimit: 100_000 } }],
  ["--runas nobody:nogroup", { runAs: "nobody:nogroup" }],
  ["-p /tmp/x.pcap", { process: { captureFile: "/tmp/x.pcap" } }],
  ["-P /tmp/x.pid", { pidFile: "/tmp/x.pid" }],
  ["-m 1500", { network: { mtu: 1500 } }],
  ["-m 0", { network: { mtu: 0 } }],
  ["-a 10.0.0.1/8", { network: { addresses: ["10.0.0.1/8"] } }],
  [
    "-a 10.0.0.1 -a 10.0.0.2 -a 2001:DB8::1",
    { network: { addresses: ["10.0.0.1", "10.0.0.2", "2001:db8::1"] } },
  ],
  ["-a 10.0.0.1 -n 8 -a 10.0.0.2 -n 16", { network: { addresses: ["10.0.0.1/8", "10.0.0.2/16"] } }],
  ["-n 8 -n 24 -a 10.0.0.1 -a 10.0.0.2", { network: { addresses: ["10.0.0.1/24", "10.0.0.2"] } }],
  ["--no-follow", { network: { follow: false, addressing: "mirror", mtu: 65_520 } }],
  ["--addressing private --carrier=follow", { network: { addressing: "private", carrier: "follow" } }],
  ["--addr 10.0.0.1 --fo", { network: { follow: true, addresses: ["10.0.0.1"] }, foreground: true }],
  ["-a 10.0.0.1 -n 255.255.240.0", { network: { addresses: ["10.0.0.1/20"] } }],
  ["-a 10.0.0.1 -n 0", { network: { addresses: ["10.0.0.1/0"] } }],
  ["-M 02:00:00:00:00:03", { network: { ourMac: "02:00:00:00:00:03" } }],
  ["--ns-mac-addr 02:00:00:00:00:04", { network: { mac: "02:00:00:00:00:04" } }],
  ["-g 10.0.0.1 -g fe80::1", { network: { gateways: ["10.0.0.1", "fe80::1"] } }],
  ["-i eth1", { network: { template: "eth1" } }],
  ["-I net0", { network: { interfaceName: "net0" } }],
  ["-o 192.0.2.1 -o 2001:db8::1", { network: { outbound: ["192.0.2.1", "2001:db8::1"] } }],
  ["--outbound-if4 a --outbound-if6 b", { network: { outboundInterface4: "a", outboundInterface6: "b" } }],
  ["--dns-host 192.0.2.1 --dns-host 192.0.2.2", { network: { dnsHosts: ["192.0.2.2"] } }],
  ["-S none", { network: { advertise: { searchDomains: [] } } }],
  [
    "--dhcp-dns -D 192.0.2.1 -D ::2 --dhcp-search",
    { network: { advertise: { resolvers: ["192.0.2.1", "::2"] } } },
  ],
  ["--dhcp-search -S a.test", { network: { advertise: { searchDomains: ["a.test"] } } }],
  ["--no-dhcp-dns --no-dhcp-search", { network: { advertise: { resolvers: [], searchDomains: [] } } }],
  ["--map-host-loopback 192.0.2.9", { network: { mapHostLoopback: ["192.0.2.9"], mapGateway: true } }],
  ["--map-host-loopback none", { network: { mapHostLoopback: "none", mapGateway: false } }],
  ["--no-map-gw", { network: { mapGateway: false } }],
  ["--map-guest-addr 192.0.2.9 --map-guest-addr none", { network: { mapGuest: "none" } }],
  ["--no-tcp", { network: { without: ["tcp"] } }],
  ["--no-udp --no-icmp", { network: { without: ["udp", "icmp"], routerAdvertisements: false } }],
  ["--no-dhcp", { network: { dhcp: { ipv4: false, ipv6: true } } }],
  ["--no-dhcpv6", { network: { dhcp: { ipv4: true, ipv6: false } } }],
  ["--splice-only", { network: { dhcp: { ipv4: false, ipv6: false }, routerAdvertisements: false } }],
  ["--no-ndp", { network: { without: ["ndp"], routerAdvertisements: false } }],
  ["--no-ra", { network: { routerAdvertisements: false } }],
  ["--freebind", { network: { ports: { freebind: true } } }],
  [
    "-4",
    { network: { ipv4: true, ipv6: false, routerAdvertisements: false, dhcp: { ipv4: true, ipv6: false } } },
  ],
  ["-6", { network: { ipv4: false, ipv6: true, dhcp: { ipv4: false, ipv6: true } } }],
  ["-H a --fqdn a.test", { network: { advertise: { hostname: "a", fqdn: "a.test" } } }],
  ["--host-lo-to-ns-lo", { network: { ports: { hostLoopbackToContainer: true } } }],
  ["--no-splice", { network: { ports: { splice: false } } }],
  [
    "--splice-only --config-net -m 1500 --dns-forward 192.0.2.1",
    { network: { ports: { spliceOnly: true } } },
  ],
  ["--userns /proc/1/ns/user", { userNamespace: "/proc/1/ns/user" }],
  ["--netns-only", { netnsOnly: true }],
  ["--no-netns-quit", { staysBehind: true }],
  ["--config-net", { network: { configure: true, routerAdvertisements: false } }],
  ["--chroot-fallback", { target: { netns: "/run/netns/x" } }],
  ["-f", { foreground: true }],
])("%s works", (line, wanted) => {
  const request = ask(`${line} ${NETNS}`);
  expect(request).toMatchObject(wanted);
  expect(request.warnings).toEqual([]);
});

test("-D none takes back what was said of resolvers", () => {
  const line = "--dhcp-dns -D 2001:db8::1 --dns-forward 192.0.2.1 --dns-host 192.0.2.2 -D none";
  expect(network(line).dnsForward).toBeUndefined();
  expect(network(line)).toMatchObject({ dnsHosts: [] });
  expect(network(`${line} --dns-forward 192.0.2.3`).dnsForward).toEqual(["192.0.2.3"]);
});

test.each([
  ["", { command: [] }],
  ["1234", { pid: 1234 }],
  ["ls -l", { command: ["ls", "-l"] }],
  ["1234 5", { command: ["1234", "5"] }],
  ["--netns name", { netns: "name" }],
])("the words %j name what is connected", (line, target) => {
  expect(ask(`-q ${line}`.trim()).target).toEqual(target);
});

test.each([
  ["--no-pidns true", { newPidNamespace: false }],
  ["-H box true", { hostname: "box" }],
  ["--netns-only true", { netnsOnly: true }],
])("%s is for a command", (line, wanted) => {
  expect(ask(line)).toMatchObject(wanted);
});

test.each([
  ["-m 60", "an MTU of 60 is too small for IPv4, which needs 68: that is taken instead"],
  ["-D 192.0.2.1", "--dns has no effect without --dhcp-dns"],
  ["-S a.test --dhcp-search --no-dhcp-search", "--search has no effect without --dhcp-search"],
  ["-4 -a 2001:db8::1", "--address 2001:db8::1 has no effect with --ipv4-only"],
])("%s only warns", (line, warning) => {
  expect(ask(`${line} ${NETNS}`).warnings).toEqual([warning]);
});

test.each([
  [`${NETNS} true`, "--netns /run/netns/x and true: a PID or a COMMAND has a namespace of its own"],
  ["0", "0 is no process id"],
  ["-4 -6", "--ipv4-only and --ipv6-only together leave no network"],
  ["-m 70000", "--mtu 70000: not a number from 68 to 65520"],
  ["-m x", "--mtu x: not a number from 68 to 65520"],
  ["-a 1.2.3", /^--address 1\.2\.3: not an address/],
  ["-g 127.0.0.1", /^--gateway 127\.0\.0\.1: /],
  ["-a 10.0.0.1/8 -n 24", "--netmask 24: --address 10.0.0.1/8 says the length already"],
  ["-a 10.0.0.1 -n 255.0.255.0", "--netmask 255.0.255.0: not a netmask, such as 24 or 255.255.255.0"],
  ["-n 24", "--netmask 24 needs an IPv4 --address in front of it"],
  ["-I abcdefghijklmnopqrst", /^--ns-ifname abcdefghijklmnopqrst: not an interface name/],
  ["-M 01:00:00:00:00:00", /^--mac-addr 01:00:00:00:00:00: not the MAC address/],
  ["-t foo", /-t/],
  ["-t 80 -t none", /none contradicts/],
  ["--no-tcp -t 80", "--no-tcp switches off what --tcp-ports 80 asks for"],
  ["--stats 5", "--stats prints to stderr, which needs --foreground, and a PID or --netns"],
  ["--stats 0 -f 1", "--stats 0: not a number of 1 or more"],
  ["--log-size 100", "--log-size 100: not a number of 40960 or more"],
  ["--userns /x true", "--userns names the user namespace to join, and a COMMAND gets a new one"],
  ["--userns /x --netns-only 1", "--userns names the user namespace to join, and --netns-only joins none"],
  ["--no-pidns 1", "--no-pidns is for a COMMAND in new namespaces"],
  ["--no-dhcp --hostname x 1", "--hostname is for a COMMAND and for DHCP clients, and there is neither"],
  ["--no-netns-quit true", /^--no-netns-quit is for a namespace that exists already/],
  ["--no-splice --host-lo-to-ns-lo", "--no-splice switches off what --host-lo-to-ns-lo needs"],
  ["--no-dhcp --no-dhcpv6 --no-ra --dhcp-dns", /^--dhcp-dns needs DHCP or router advertisements, and all/],
  ["--fqdn a..b", "--fqdn a..b: not a name that the DNS can carry, such as box.example.org"],
  [`-S ${"x".repeat(64)}.test`, /^--search x{64}.test: not a name/],
  ["--no-dhcp -4 --fqdn x", "--fqdn is for DHCP clients, and there is no DHCP server"],
  ["-c /x", /^--conf-path is for pesto/],
  ["--no-copy-routes", /^--no-copy-routes is deprecated: --gateway/],
  ["--no-copy-addrs", /^--no-copy-addrs is deprecated: --address/],
  ["-F 5", /^--fd is for virtual machines/],
  ["-1", /^--one-off is for virtual machines/],
  ["-s /x", /^--socket is for virtual machines/],
  ["--vhost-user", /^--vhost-user is for virtual machines/],
])("%s is refused with the reason", (line, message) => {
  let error: unknown;
  try {
    ask(line);
  } catch (cause) {
    error = cause;
  }
  expect(error).toMatchObject({ code: "USAGE" });
  expect(error instanceof UsageError ? error.what : (error as Error).message).toMatch(message);
});

/** What makes an option with a value, or one that is not for every target, differ from its absence. */
const SAMPLES: Readonly<Record<string, string>> = {
  stats: "-f --stats 5",
  "log-file": "--log-file x",
  "log-size": "--log-size 50000",
  runas: "--runas 1",
  pcap: "--pcap x",
  pid: "--pid x",
  mtu: "--mtu 1500",
  address: "--address 10.0.0.1",
  netmask: "--address 10.0.0.1 --netmask 24",
  "mac-addr": "--mac-addr 02:00:00:00:00:01",
  "ns-mac-addr": "--ns-mac-addr 02:00:00:00:00:01",
  gateway: "--gateway 10.0.0.1",
  interface: "--interface a",
  "ns-ifname": "--ns-ifname a",
  outbound: "--outbound 10.0.0.1",
  "outbound-if4": "--outbound-if4 a",
  "outbound-if6": "--outbound-if6 a",
  "map-host-loopback": "--map-host-loopback 10.0.0.1",
  "map-guest-addr": "--map-guest-addr 10.0.0.1",
  dns: "--dhcp-dns --dns ::2",
  "dns-forward": "--dns-forward 10.0.0.1",
  "dns-host": "--dns-host 10.0.0.1",
  search: "--dhcp-search --search a",
  "no-dhcp-dns": "--dhcp-dns --no-dhcp-dns",
  "no-dhcp-search": "--dhcp-search --no-dhcp-search",
  "tcp-ports": "--tcp-ports 80",
  "udp-ports": "--udp-ports 80",
  "tcp-ns": "--tcp-ns 80",
  "udp-ns": "--udp-ns 80",
  userns: "--userns x",
  hostname: "--hostname x",
  fqdn: "--fqdn x",
  addressing: "--addressing private",
  carrier: "--carrier follow",
};
/** They ask for what is so anyway, or are done before anything is asked for. */
const NOTHING_TO_DO = ["stderr", "chroot-fallback", "help", "version"];
const IGNORABLE = PASTA_OPTIONS.filter(
  ({ name, refused }) => refused === undefined && name !== "netns" && !NOTHING_TO_DO.includes(name),
);

test.each(IGNORABLE)("--$name is not silently ignored", ({ name }) => {
  const target = name === "no-pidns" ? "true" : NETNS;
  const line = SAMPLES[name] ?? `--${name}`;
  const without = line.slice(0, line.lastIndexOf("--")).trim();
  expect(ask(`${line} ${target}`)).not.toEqual(ask(`${without} ${target}`.trim()));
});

test("names and letters are those of one option", () => {
  for (const words of [
    PASTA_OPTIONS.map(({ name }) => name),
    PASTA_OPTIONS.flatMap(({ short }) => short ?? []),
  ]) {
    expect(new Set(words).size).toBe(words.length);
  }
});
