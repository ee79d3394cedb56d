import { expect, test } from "@jest/globals";
import { parseArguments } from "../../../src/config/command-line.ts";
import { NETWORK_OPTIONS, networkOptions } from "../../../src/config/from-cli.ts";
import { ofFamily } from "../../../src/config/host-template.ts";
import { portOption, printPortRule } from "../../../src/config/port-spec.ts";
import { DEFAULT_NETWORK, DEFAULT_PORTS, type NetworkOptions } from "../../../src/config/options.ts";

const ask = (...args: string[]): NetworkOptions =>
  networkOptions(parseArguments(args, NETWORK_OPTIONS), { first: 32_768, last: 60_999 });

test("nothing asked for gives the defaults", () => {
  expect(ask()).toEqual(DEFAULT_NETWORK);
});

test("addresses are checked and brought into canonical form", () => {
  expect(ask("--address", "10.0.2.15/24", "--address=2001:DB8:0::1/64").addresses).toEqual([
    "10.0.2.15/24",
    "2001:db8::1/64",
  ]);
  expect(ask("--address", "10.0.2.15").addresses).toEqual(["10.0.2.15"]);
  for (const bad of [
    "10.0.2.256/24",
    "10.0.2.15/33",
    "0.0.0.0/8",
    "127.0.0.1/8",
    "224.0.0.1/4",
    "::/64",
    "eth0",
    "",
  ]) {
    expect(() => ask("--address", bad)).toThrow(`--address ${bad}: not an address`);
  }
});

test("a netmask belongs to the latest IPv4 address, which has no length of its own", () => {
  const asked = ask(
    ..."--address 10.0.0.1 --netmask 8 --address 10.0.0.2 --address 2001:db8::1 --netmask 255.255.240.0".split(
      " ",
    ),
  );
  expect(asked.addresses).toEqual(["10.0.0.1/8", "10.0.0.2/20", "2001:db8::1"]);
  expect(ask("--address", "10.0.0.1", "--netmask", "0").addresses).toEqual(["10.0.0.1/0"]);
  for (const bad of ["33", "255.0.255.0", "0.0.0.1", "x", "", "ffff::"]) {
    expect(() => ask("--address", "10.0.0.1", "--netmask", bad)).toThrow(`--netmask ${bad}: not a netmask`);
  }
  expect(() => ask("--address", "10.0.0.1/8", "--netmask", "8")).toThrow(
    "--netmask 8: --address 10.0.0.1/8 says the length already",
  );
  expect(() => ask("--address", "10.0.0.1", "--netmask", "8", "--netmask", "16")).toThrow("already");
  expect(() => ask("--netmask", "8", "--address", "10.0.0.1")).toThrow("in front of it");
});

test("whether and how the host is followed", () => {
  expect(ask("--follow")).toEqual(DEFAULT_NETWORK);
  expect(ask("--no-follow").follow).toBe(false);
  expect(() => ask("--no-follow", "--follow")).toThrow("--follow and --no-follow are opposites");
  expect(ask("--addressing", "private", "--carrier=follow")).toMatchObject({
    addressing: "private",
    carrier: "follow",
  });
  expect(ask("--addressing", "mirror", "--carrier=up")).toEqual(DEFAULT_NETWORK);
  expect(() => ask("--no-follow", "--carrier", "follow")).toThrow("--no-follow switches off");
  expect(() => ask("--addressing", "nat")).toThrow("--addressing nat: not one of mirror, private");
  expect(() => ask("--carrier", "down")).toThrow("--carrier down: not one of up, follow");
  expect(() => ask("--splice-only", "--addressing=private")).toThrow("--addressing is for");
});

test("of options with one value for each family, the last one counts", () => {
  const { gateways } = ask("--gateway=10.0.0.1", "--gateway=fe80::1", "--gateway=10.0.0.2");
  expect(gateways.toSorted()).toEqual(["10.0.0.2", "fe80::1"]);
  expect(ask("--outbound", "192.0.2.7").outbound).toEqual(["192.0.2.7"]);
});

test("families are switched off, never both, and nothing of one that is off is accepted", () => {
  expect(ask("-4")).toMatchObject({ ipv4: true, ipv6: false });
  expect(ask("--ipv6-only")).toMatchObject({ ipv4: false, ipv6: true });
  expect(() => ask("-4", "-6")).toThrow("leave no network");
  expect(() => ask("-4", "--gateway", "fe80::1")).toThrow("fe80::1 is given, but --ipv4-only");
  expect(() => ask("-6", "--address", "10.0.0.1/8")).toThrow("10.0.0.1/8 is given, but --ipv6-only");
});

test("mappings take an address of each family, or none", () => {
  expect(ask("--map-host-loopback", "10.0.0.9").mapHostLoopback).toEqual(["10.0.0.9"]);
  expect(ask("--map-host-loopback", "none")).toMatchObject({ mapHostLoopback: "none", mapGateway: false });
  expect(ask("--no-map-gw")).toMatchObject({ mapHostLoopback: [], mapGateway: false });
  expect(ask("--map-guest-addr=169.254.1.2").mapGuest).toEqual(["169.254.1.2"]);
  expect(ask("--dns-forward", "none").dnsForward).toBe("none");
  expect(ask("--dns-forward", "none", "--dns-forward", "10.0.0.53").dnsForward).toEqual(["10.0.0.53"]);
  expect(ask().dnsForward).toBeUndefined();
  expect(() => ask("--map-host-loopback", "127.0.0.1")).toThrow("never leaves the container");
  expect(() => ask("--map-guest-addr", "255.255.255.255")).toThrow("not the address of a host");
});

test("resolvers outside may be on the loopback", () => {
  expect(ask("--dns-host", "127.0.0.53", "--dns-host", "::1").dnsHosts).toEqual(["127.0.0.53", "::1"]);
});

test("numbers have ranges", () => {
  expect(ask("--mtu", "0").mtu).toBe(0);
  expect(ask("--mtu", "65520").mtu).toBe(65_520);
  expect(ask("--flows", "16").flows).toBe(16);
  for (const bad of ["67", "65521", "-1", "1e3", "0x100", "", "99999999999"]) {
    expect(() => ask(`--mtu=${bad}`)).toThrow(`--mtu ${bad}: not a number from 68 to 65520`);
  }
  expect(() => ask("--flows", "0")).toThrow("--flows 0: not a number");
});

test("names and MAC addresses are those that Linux accepts", () => {
  expect(ask("--mac", "9A-55-00-00-00-01").mac).toBe("9a:55:00:00:00:01");
  for (const bad of ["01:00:00:00:00:00", "00:00:00:00:00:00", "9a:55", "x"]) {
    expect(() => ask("--mac", bad)).toThrow(`--mac ${bad}: not the MAC address`);
  }
  expect(ask("--ifname", "eth0", "--interface", "br-lan.2", "--outbound-if", "wg0")).toMatchObject({
    interfaceName: "eth0",
    template: "br-lan.2",
    outboundInterface4: "wg0",
    outboundInterface6: "wg0",
  });
  for (const bad of ["", ".", "..", "a/b", "a:b", "a b", "0123456789abcdef"]) {
    expect(() => ask(`--ifname=${bad}`)).toThrow("not an interface name");
  }
  expect(() => ask("--ifname", "lo")).toThrow("--ifname lo: a name that the kernel keeps for itself");
  expect(() => ask("--interface", "lo")).not.toThrow();
});

test("ports are forwarded as asked, and none without being asked", () => {
  expect(ask().ports).toEqual(DEFAULT_PORTS);
  const { ports } = ask(
    "-t",
    "8080:80",
    "--udp-ports=53",
    "-t",
    "8443,~9",
    "-T=5432",
    "--udp-ns",
    "none",
    "--freebind",
  );
  expect(ports.rules.map((rule) => `${portOption(rule)} ${printPortRule(rule)}`)).toEqual([
    "-t 8080:80",
    "-t 8443",
    "-u 53",
    "-T 5432",
  ]);
  expect(ports).toMatchObject({ splice: true, freebind: true, hostLoopbackToContainer: false });
  expect(() => ask("-t", "80", "--tcp-ports", "none")).toThrow("cannot read -t: none contradicts");
  expect(() => ask("-u", "1,x")).toThrow("cannot read -u: a port should stand here\n  1,x\n    ^");
  expect(() => ask("-4", "-t", "[2001:db8::1]/80")).toThrow("2001:db8::1 is given, but --ipv4-only");
  expect(() => ask("-6", "-t", "80:10.0.0.2")).toThrow("10.0.0.2 is given, but --ipv6-only");
});

test("the bypass between the loopbacks is off, alone or something between", () => {
  expect(ask("--no-splice").ports.splice).toBe(false);
  expect(ask("--splice-only").ports).toMatchObject({ splice: true, spliceOnly: true });
  expect(() => ask("--splice-only", "--mtu", "1400")).toThrow(
    "makes no interface inside, which --mtu is for",
  );
  expect(ask("--host-lo-to-ns-lo").ports).toMatchObject({ splice: true, hostLoopbackToContainer: true });
  expect(() => ask("--no-splice", "--splice-only")).toThrow(
    "--no-splice switches off what --splice-only needs",
  );
  expect(() => ask("--host-lo-to-ns-lo", "--no-splice")).toThrow("off what --host-lo-to-ns-lo needs");
});

test("a router advertises only where there is IPv6", () => {
  expect([ask().routerAdvertisements, ask("--ra").routerAdvertisements]).toEqual([false, true]);
  expect(() => ask("--ra", "-4")).toThrow("--ra is for IPv6");
});

test("there is a DHCP server for each family that there is", () => {
  expect(ask().dhcp).toEqual({ ipv4: false, ipv6: false });
  expect(ask("--dhcp").dhcp).toEqual({ ipv4: true, ipv6: true });
  expect(ask("--dhcp", "-4").dhcp).toEqual({ ipv4: true, ipv6: false });
  expect(ask("--dhcp", "-6").dhcp).toEqual({ ipv4: false, ipv6: true });
  expect(() => ask("--dhcp", "--splice-only")).toThrow("which --dhcp is for");
});

test("log levels are known words", () => {
  expect(ask("--log-level", "trace").logLevel).toBe("trace");
  expect(() => ask("--log-level", "loud")).toThrow(
    "--log-level loud: not one of error, warn, info, debug, trace",
  );
});

test("the address of a family is found among several", () => {
  expect(ofFamily(["fe80::1", "10.0.0.1/8"], false)).toBe("10.0.0.1/8");
  expect(ofFamily(["fe80::1", "10.0.0.1/8"], true)).toBe("fe80::1");
  expect(ofFamily([], true)).toBeUndefined();
});

test("rates are bits per second with a unit, limits bytes", () => {
  expect(ask("--bandwidth-in", "16mbit").bandwidth).toEqual({ ingress: { rate: 2_000_000, burst: 200_000 } });
  expect(ask("--bandwidth-in", "800K", "--bandwidth-out=1.5g").bandwidth).toEqual({
    ingress: { rate: 100_000, burst: 131_072 },
    egress: { rate: 187_500_000, burst: 18_750_000 },
  });
  expect(ask("--bandwidth-out", "8").bandwidth).toEqual({ egress: { rate: 1, burst: 131_072 } });
  for (const bad of ["", "7", "0", "-8m", "16mb", "1e6", "fast", "16 m", ".5m"]) {
    expect(() => ask(`--bandwidth-in=${bad}`)).toThrow(
      `--bandwidth-in ${bad}: not a rate in bits per second`,
    );
  }
});

test("protocols are switched off, and nothing is asked of one that is", () => {
  expect(ask("--no-ndp", "--no-tcp", "--no-udp").without).toEqual(["tcp", "udp", "ndp"]);
  expect(ask("--no-icmp").without).toEqual(["icmp"]);
  for (const off of ["--no-icmp", "--no-ndp"]) {
    expect(() => ask("--ra", off)).toThrow("--ra is neighbour discovery, which --no-ndp and --no-icmp");
  }
  expect(() => ask("--splice-only", "--bandwidth-in", "1m")).toThrow("which --bandwidth-in is for");
});
