import { expect, test } from "@jest/globals";
import { NO_TEMPLATE } from "../../../src/config/host-template.ts";
import { planNetwork } from "../../../src/config/network-plan.ts";
import { pluginInfo, statusBlock } from "../../../src/netavark/result.ts";

test("info has the version of the interface between netavark and plugins", () => {
  expect(pluginInfo("1.2.3")).toEqual({ version: "1.2.3", api_version: "1.0.0" });
});

test("a status has all addresses with their gateways, and the resolvers", () => {
  const plan = planNetwork(NO_TEMPLATE, {
    ipv4: true,
    ipv6: true,
    addresses: ["10.66.0.2/24", "2001:db8:66::2/64"],
    gateways: ["10.66.0.1", "2001:db8:66::1"],
    mac: "9a:00:00:00:00:09",
  });
  expect(statusBlock("net7", plan, ["169.254.1.1"])).toEqual({
    dns_server_ips: ["169.254.1.1"],
    dns_search_domains: [],
    interfaces: {
      net7: {
        mac_address: "9a:00:00:00:00:09",
        subnets: [
          { ipnet: "10.66.0.2/24", gateway: "10.66.0.1" },
          { ipnet: "2001:db8:66::2/64", gateway: "2001:db8:66::1" },
        ],
      },
    },
  });
});
