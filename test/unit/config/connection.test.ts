import { expect, test } from "@jest/globals";
import { NO_TEMPLATE } from "../../../src/config/host-template.ts";
import { planNetwork } from "../../../src/config/network-plan.ts";
import { DEFAULT_NETWORK, type NetworkOptions, type RuleOptions } from "../../../src/config/options.ts";
import { parseResolvConf } from "../../../src/config/resolv-conf.ts";
import { advertiseOptions, ruleOptions } from "../../../src/config/connection.ts";

const HOST = parseResolvConf("nameserver 127.0.0.53\nnameserver ::1\n");

/** Rules for a container in local mode, whose gateways are 169.254.2.2 and fe80::1. */
function rules(network: Partial<NetworkOptions>, dnsForward: string[] = []): RuleOptions {
  const options = { ...DEFAULT_NETWORK, ...network };
  return ruleOptions({ network: options, dnsForward }, planNetwork(NO_TEMPLATE, options), HOST);
}

test("the gateway stands for the host's loopback unless another address does, or nothing", () => {
  expect(rules({})).toEqual({
    mapHostLoopback4: "169.254.2.2",
    mapHostLoopback6: "fe80::1",
    dnsServers: ["127.0.0.53", "::1"],
  });
  expect(rules({ mapGateway: false })).toEqual({ dnsServers: ["127.0.0.53", "::1"] });
  expect(rules({ mapHostLoopback: ["10.0.0.9"] })).toMatchObject({
    mapHostLoopback4: "10.0.0.9",
    mapHostLoopback6: "fe80::1",
  });
  expect(rules({ mapHostLoopback: "none", mapGateway: false }).mapHostLoopback4).toBeUndefined();
});

test("resolvers outside are those given, else the host's", () => {
  expect(rules({ dnsHosts: ["192.0.2.53"] }).dnsServers).toEqual(["192.0.2.53"]);
});

test("each address goes to the rule of its family", () => {
  const all = rules(
    { mapGuest: ["2001:db8::2", "10.0.0.2"], outbound: ["192.0.2.7"], outboundInterface4: "eth1" },
    ["169.254.1.1", "fd00::53"],
  );
  expect(all).toMatchObject({
    mapGuest4: "10.0.0.2",
    mapGuest6: "2001:db8::2",
    dnsMatch4: "169.254.1.1",
    dnsMatch6: "fd00::53",
    outbound4: "192.0.2.7",
    outboundInterface4: "eth1",
  });
  expect(all.outbound6).toBeUndefined();
});

test("whoever asks is told the address that forwards DNS, else the resolvers that can be reached", () => {
  const resolvConf = parseResolvConf(`search corp.test
    nameserver 127.0.0.53
    nameserver fe80::53%eth0
    nameserver 2001:db8::53
    nameserver 192.0.2.53
    nameserver ::1`);
  const hosts = { dnsServers: resolvConf.nameservers };
  expect(advertiseOptions({}, hosts, resolvConf)).toEqual({
    resolvers: ["192.0.2.53", "2001:db8::53"],
    searchDomains: ["corp.test"],
  });
  expect(advertiseOptions({}, { ...hosts, dnsMatch6: "fd00::53" }, resolvConf).resolvers).toEqual([
    "192.0.2.53",
    "fd00::53",
  ]);
  const both = { ...hosts, dnsMatch4: "169.254.1.1", dnsMatch6: "fd00::53" };
  expect(advertiseOptions({}, both, resolvConf).resolvers).toEqual(["169.254.1.1", "fd00::53"]);
  const advertise = { resolvers: ["2001:db8::1"] };
  expect(advertiseOptions({ advertise }, hosts, resolvConf)).toEqual({
    ...advertise,
    searchDomains: ["corp.test"],
  });
});
