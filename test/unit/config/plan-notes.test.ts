import { expect, test } from "@jest/globals";
import { chooseTemplate } from "../../../src/config/host-template.ts";
import { planNetwork } from "../../../src/config/network-plan.ts";
import { DEFAULT_NETWORK, type NetworkOptions } from "../../../src/config/options.ts";
import { planNotes } from "../../../src/config/plan-notes.ts";
import { address, host, link, route } from "../../support/host-network.ts";

const ONE_FAMILY = host({
  links: [link(2, "eth0"), link(3, "wlan0")],
  addresses: [address(2, "198.51.100.2/24")],
  routes: [route(2, "0.0.0.0/0", "198.51.100.1")],
});

function notes(asked: Partial<NetworkOptions> = {}, tables = ONE_FAMILY): string[] {
  const network = { ...DEFAULT_NETWORK, ...asked };
  return planNotes(planNetwork(chooseTemplate(tables, network), network), network, tables);
}

const ITSELF = "for the time being the container reaches the host itself only";

test("a host with one family is no news, and one without any is", () => {
  expect(notes()).toEqual([]);
  expect(notes({ template: "eth0" })).toEqual([]);
  expect(notes({}, host({}))).toEqual([`the host has no network: ${ITSELF}`]);
  expect(notes({ ipv4: false })).toEqual([`the host has no network: ${ITSELF}`]);
  expect(notes({ follow: false }, host({}))).toEqual([
    "the host has no network: without --follow the container reaches the host itself only",
  ]);
});

test("an interface that is waited for is named, with those that there are", () => {
  expect(notes({ template: "eth9" })).toEqual(["waiting for the interface eth9: the host has eth0, wlan0"]);
  expect(notes({ template: "eth9" }, host({}))).toEqual([
    "waiting for the interface eth9: the host has none yet",
  ]);
  expect(notes({ template: "wlan0" })).toEqual([`wlan0 has no address: ${ITSELF}`]);
  expect(notes({ outboundInterface4: "eth0", outboundInterface6: "eth9" })).toEqual([
    "waiting for the interface eth9: the host has eth0, wlan0",
  ]);
  expect(notes({ outboundInterface6: "eth9", ipv6: false })).toEqual([]);
});

test("what is never looked for again cannot be waited for", () => {
  expect(() => notes({ template: "eth9", follow: false })).toThrow(
    "there is no eth9, the host has eth0, wlan0",
  );
  expect(() => notes({ template: "wlan0", follow: false })).toThrow("wlan0 has no usable address");
  expect(notes({ template: "eth0", follow: false })).toEqual([]);
});

test("an MTU that IPv6 forbids is told", () => {
  expect(notes({ mtu: 1_000 })).toEqual([
    "an MTU of 1000 is too small for IPv6, which needs 1280: there is only IPv4",
  ]);
});
