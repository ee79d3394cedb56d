import { expect, test } from "@jest/globals";
import { withIpam } from "../../../src/cni/ipam.ts";
import { parseResult } from "../../../src/cni/parse-result.ts";
import { DEFAULT_NETWORK, type NetworkOptions } from "../../../src/config/options.ts";

/** What is taken from a result. */
function taken(result: Record<string, unknown>, network: Partial<NetworkOptions> = {}) {
  const options = withIpam(
    { ...DEFAULT_NETWORK, ...network },
    parseResult({ pointer: "", value: result }, "1.1.0"),
  );
  const { ipv4, ipv6, addresses, gateways, routes } = options;
  return { ipv4, ipv6, addresses, gateways, routes };
}

test("addresses, gateways and routes; a family without an address is off", () => {
  expect(
    taken({
      ips: [{ address: "10.0.0.5/16" }, { address: "10.0.0.6/16", gateway: "10.0.0.1" }],
      routes: [
        { dst: "0.0.0.0/0" },
        { dst: "10.9.8.7/16", gw: "10.0.0.2", mtu: 1300, advmss: 1200, priority: 5, table: 100, scope: 0 },
        { dst: "192.0.2.0/24", scope: 253 },
        { dst: "::/0", gw: "fe80::1" },
      ],
    }),
  ).toEqual({
    ipv4: true,
    ipv6: false,
    addresses: ["10.0.0.5/16", "10.0.0.6/16"],
    gateways: ["10.0.0.1"],
    routes: [
      { destination: "0.0.0.0/0", gateway: "10.0.0.1" },
      {
        destination: "10.9.0.0/16",
        gateway: "10.0.0.2",
        mtu: 1300,
        advertisedMss: 1200,
        metric: 5,
        table: 100,
        scope: 0,
      },
      { destination: "192.0.2.0/24", scope: 253 },
    ],
  });
});

test("the gateway may be that of the default route alone", () => {
  const result = { ips: [{ address: "2001:db8::5/64" }], routes: [{ dst: "::/0", gw: "2001:db8::1" }] };
  expect(taken(result)).toMatchObject({ ipv4: false, ipv6: true, gateways: ["2001:db8::1"] });
});

test("a result of 0.2.0 says the same in other words", () => {
  const result = {
    cniVersion: "0.2.0",
    ip4: { ip: "10.0.0.5/16", gateway: "10.0.0.1", routes: null },
    ip6: null,
  };
  expect(taken(result)).toMatchObject({ addresses: ["10.0.0.5/16"], gateways: ["10.0.0.1"], routes: [] });
});

test("addresses of a family that is off are not taken; without any other there is nothing to connect", () => {
  const ips = [{ address: "10.0.0.5/16" }, { address: "2001:db8::5/64" }];
  expect(taken({ ips }, { ipv4: false }).addresses).toEqual(["2001:db8::5/64"]);
  for (const result of [{}, { ips: null }, { ips: ips.slice(0, 1) }]) {
    expect(() => taken(result, { ipv4: false })).toThrow(
      expect.objectContaining({ code: 7, details: "/ipam gives no address of a family that is on" }),
    );
  }
});
