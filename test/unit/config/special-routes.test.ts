import { expect, test } from "@jest/globals";
import { NO_TEMPLATE } from "../../../src/config/host-template.ts";
import { planNetwork } from "../../../src/config/network-plan.ts";
import { DEFAULT_NETWORK } from "../../../src/config/options.ts";
import { specialRoutes } from "../../../src/config/special-routes.ts";

const options = { ...DEFAULT_NETWORK, addresses: ["10.0.0.2/24"] };
const withDefault = planNetwork(NO_TEMPLATE, options).ipv4;
const withoutDefault = { ...withDefault, routes: [] };

test("with a default route, every address is reachable already", () => {
  expect(specialRoutes(4, withDefault, ["169.254.1.1", "192.0.2.1"])).toEqual([]);
});

test("without one, addresses off the link get a route of their own, once each and by family", () => {
  const routes = specialRoutes(4, withoutDefault, ["169.254.1.1", "10.0.0.53", "169.254.1.1", "fd00::53"]);
  expect(routes).toMatchObject([{ destination: "169.254.1.1", destinationLength: 32, family: 4 }]);
  expect(routes[0].nexthops).toEqual([{ interfaceIndex: 0, gateway: "", weight: 1, onlink: false }]);
  expect(specialRoutes(6, { ...withoutDefault, addresses: [] }, ["fd00::53", "10.0.0.1"])).toMatchObject([
    { destination: "fd00::53", destinationLength: 128, family: 6 },
  ]);
});

test("an address without a route for its prefix does not count", () => {
  const addresses = [
    { address: "10.0.0.2", prefixLength: 24, noPrefixRoute: true, metric: 0, deprecated: false },
  ];
  expect(specialRoutes(4, { ...withoutDefault, addresses }, ["10.0.0.53"])).toHaveLength(1);
});
