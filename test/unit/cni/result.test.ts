import { expect, test } from "@jest/globals";
import { addResult } from "../../../src/cni/result.ts";
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

test("a result of 1.1.0 has everything that was set up", () => {
  expect(addResult("1.1.0", ATTACHMENT, plan(), DNS)).toEqual({
    cniVersion: "1.1.0",
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

test("a result of 1.0.0 has no MTU", () => {
  const { cniVersion, interfaces } = addResult("1.0.0", ATTACHMENT, plan(), DNS);
  expect({ cniVersion, interfaces }).toEqual({
    cniVersion: "1.0.0",
    interfaces: [{ name: "net1", mac: "02:00:00:00:00:07", sandbox: "/proc/7/ns/net" }],
  });
});

test("a family that is off is not in the result", () => {
  const { ips, routes } = addResult("1.1.0", ATTACHMENT, plan({ ipv6: false }), DNS);
  expect(JSON.stringify({ ips, routes })).not.toContain(":1::");
  const six = addResult("1.1.0", ATTACHMENT, plan({ ipv4: false }), DNS);
  expect(six.ips).toEqual([{ address: "2001:db8:1::2/64", gateway: "fe80::1", interface: 0 }]);
});

test("the gateway of the only address counts even from outside its subnet", () => {
  const options = { ipv6: false, addresses: ["10.9.9.9/32"], gateways: ["198.51.100.1"] };
  expect(addResult("1.1.0", ATTACHMENT, plan(options), DNS).ips).toEqual([
    { address: "10.9.9.9/32", gateway: "198.51.100.1", interface: 0 },
  ]);
});
