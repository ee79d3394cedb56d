import { expect, test } from "@jest/globals";
import { addResult, mergeResults } from "../../../src/cni/result.ts";
import { chooseTemplate } from "../../../src/config/host-template.ts";
import { planNetwork, type NetworkPlan, type PlanOptions } from "../../../src/config/network-plan.ts";
import { address, host, link, route } from "../../support/host-network.ts";

const HOST = host({
  links: [link(2, "eth0", 1400)],
  addresses: [
    address(2, "198.51.100.2/24"),
    address(2, "203.0.113.9/28"),
    address(2, "2001:db8:1::2/64"),
    address(2, "fe80::1234/64", { scope: 253 }),
  ],
  routes: [
    route(2, "198.51.100.0/24"),
    route(2, "0.0.0.0/0", "198.51.100.1"),
    route(2, "2001:db8:1::/64"),
    route(2, "::/0", "fe80::1"),
  ],
});
const OPTIONS: PlanOptions = { ipv4: true, ipv6: true, addresses: [], gateways: [], interfaceName: "net1" };
const ATTACHMENT = { containerId: "c1", ifname: "net1", netns: "/proc/7/ns/net" };
const DNS = { nameservers: ["169.254.1.1"] };

function plan(options: Partial<PlanOptions> = {}): NetworkPlan {
  const all = { ...OPTIONS, ...options };
  return { ...planNetwork(chooseTemplate(HOST, all), all), mac: "02:00:00:00:00:07" };
}

test("a result has everything that was set up", () => {
  expect(addResult(ATTACHMENT, plan(), DNS)).toEqual({
    interfaces: [{ name: "net1", mac: "02:00:00:00:00:07", sandbox: "/proc/7/ns/net", mtu: 1400 }],
    ips: [
      { address: "203.0.113.9/28", interface: 0 },
      { address: "198.51.100.2/24", gateway: "198.51.100.1", interface: 0 },
      { address: "2001:db8:1::2/64", gateway: "fe80::1", interface: 0 },
    ],
    routes: [
      { dst: "198.51.100.0/24" },
      { dst: "0.0.0.0/0", gw: "198.51.100.1" },
      { dst: "2001:db8:1::/64" },
      { dst: "::/0", gw: "fe80::1" },
    ],
    dns: DNS,
  });
});

test("a family that is off is not in the result", () => {
  const { ips, routes } = addResult(ATTACHMENT, plan({ ipv6: false }), DNS);
  expect(JSON.stringify({ ips, routes })).not.toContain(":1::");
  const six = addResult(ATTACHMENT, plan({ ipv4: false }), DNS);
  expect(six.ips).toEqual([{ address: "2001:db8:1::2/64", gateway: "fe80::1", interface: 0 }]);
});

test("the gateway of the only address counts even from outside its subnet", () => {
  const options = { ipv6: false, addresses: ["10.9.9.9/32"], gateways: ["198.51.100.1"] };
  expect(addResult(ATTACHMENT, plan(options), DNS).ips).toEqual([
    { address: "10.9.9.9/32", gateway: "198.51.100.1", interface: 0 },
  ]);
});

test("routes that were asked for are in the result with what they have", () => {
  const options: Partial<PlanOptions> = {
    ipv6: false,
    addresses: ["10.9.9.9/24"],
    routes: [
      { destination: "10.8.0.0/16", gateway: "10.9.9.1", metric: 5, mtu: 1300, advertisedMss: 1200 },
      { destination: "10.7.0.0/16", table: 100 },
    ],
  };
  const { ips, routes } = addResult(ATTACHMENT, plan(options), DNS);
  expect(ips).toEqual([{ address: "10.9.9.9/24", interface: 0 }]);
  expect(routes).toEqual([
    { dst: "10.8.0.0/16", gw: "10.9.9.1", priority: 5, mtu: 1300, advmss: 1200 },
    { dst: "10.7.0.0/16", table: 100 },
  ]);
});

test("ours comes behind that of the plugins before us, whose indexes stay", () => {
  const previous = {
    interfaces: [{ name: "br0" }, { name: "eth0", sandbox: "/proc/7/ns/net" }],
    ips: [{ address: "10.0.0.2/24", interface: 1 }, { address: "10.0.0.3/24" }],
    routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }],
    dns: { nameservers: ["10.0.0.1"] },
  };
  const ours = addResult(
    ATTACHMENT,
    plan({ ipv6: false, addresses: ["10.9.9.9/24"], gateways: ["10.9.9.1"] }),
    DNS,
  );
  const merged = mergeResults(previous, ours);
  expect(merged.interfaces.map(({ name }) => name)).toEqual(["br0", "eth0", "net1"]);
  expect(merged.ips).toEqual([
    { address: "10.0.0.2/24", interface: 1 },
    { address: "10.0.0.3/24" },
    { address: "10.9.9.9/24", gateway: "10.9.9.1", interface: 2 },
  ]);
  expect(merged.routes).toEqual([
    { dst: "0.0.0.0/0", gw: "10.0.0.1" },
    { dst: "0.0.0.0/0", gw: "10.9.9.1" },
  ]);
  expect(merged.dns).toEqual({ nameservers: ["10.0.0.1"] });
  expect(mergeResults({ ...previous, dns: {} }, ours).dns).toEqual(DNS);
});
