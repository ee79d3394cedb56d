/**
 * The netavark plugin, started as netavark does it: as root of an ordinary user's user namespace, with three pipes that
 * are read to their ends, and a document on the first.
 */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { askAddress, TELL_ADDRESSES } from "../support/podman.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

interface Answer {
  code: number | null;
  /** What was on stdout. */
  json: unknown;
  stderr: string;
}

async function call(net: Network, args: string, document?: unknown, before = ""): Promise<Answer> {
  const input = document === undefined ? "" : `${JSON.stringify(document)}\n`;
  const plugin = `${stage().dir}/dist/netavark/bucatini`;
  const { code, stdout, stderr, heldOpen } = await net.outside.attempt(`exec ${before} ${plugin} ${args}`, {
    input,
  });
  expect(heldOpen).toBe(false);
  return { code, json: stdout === "" ? undefined : JSON.parse(stdout), stderr };
}

const NETWORK = {
  dns_enabled: false,
  driver: "bucatini",
  id: "4336",
  internal: false,
  ipv6_enabled: false,
  name: "um1",
  network_interface: null,
  options: null,
  ipam_options: null,
  subnets: null,
  routes: null,
  network_dns_servers: null,
};
const OPTIONS = {
  aliases: ["al", "a164d51a5b66"],
  interface_name: "eth0",
  static_ips: null,
  static_mac: null,
  options: null,
};
const PORTS = [
  { container_port: 80, host_ip: "", host_port: 8080, protocol: "tcp", range: 1 },
  { container_port: 53, host_ip: "", host_port: 5300, protocol: "udp", range: 2 },
];
const attachment = (network = {}, own = {}, port_mappings: unknown = null): unknown => ({
  container_id: "a164d51a5b66",
  container_name: "nv1",
  port_mappings,
  network: { ...NETWORK, ...network },
  network_options: { ...OPTIONS, ...own },
});
const SUBNETS = [
  { gateway: "10.66.0.1", lease_range: null, subnet: "10.66.0.0/24" },
  { gateway: "fd66::1", lease_range: null, subnet: "fd66::/64" },
];

const PATH = "/run/netns/c1";
const engines = (net: Network): Promise<string> => net.outside.run(`${stage().bucatini} list | tail -n +2`);

async function inNetwork(body: (net: Network) => Promise<void>): Promise<void> {
  await withNamespaces(stage(), {}, async (net) => {
    await net.outside.run("ip netns add c1");
    await body(net);
    await expectNothingLeft(net);
  });
}

test("info, a new network, and what is wrong with one", async () => {
  await inNetwork(async (net) => {
    const info = { version: expect.stringMatching(/^\d+\.\d+/), api_version: "1.0.0" };
    expect(await call(net, "info")).toEqual({ code: 0, json: info, stderr: "" });
    expect(await call(net, "")).toEqual({ code: 0, json: info, stderr: "" });
    const asked = {
      ...NETWORK,
      dns_enabled: true,
      created: "2026-11-22T00:00:00Z",
      options: { mtu: "1400" },
    };
    const made = { ...asked, dns_enabled: false };
    expect(await call(net, "create", asked, "env -i")).toEqual({ code: 0, json: made, stderr: "" });
    for (const [args, document, error] of [
      ["create", { ...NETWORK, internal: true }, "cannot make the network um1: an internal one"],
      ["create", { ...NETWORK, options: { mtus: "1" } }, "cannot use the option mtus of the network um1"],
      ["create", { ...NETWORK, options: { mtu: "1" } }, "--mtu 1: not a number from 68 to 65520"],
      ["create", [], "cannot understand the network on stdin: / must be object"],
      ["destroy", {}, "there is no command destroy"],
      ["setup", {}, "setup needs the path of a network namespace"],
      [`setup ${PATH}`, {}, "cannot understand the container's network on stdin"],
      [`teardown ${PATH}`, {}, "cannot understand the container's network on stdin"],
    ] as const) {
      const answer = await call(net, args, document);
      expect(answer).toEqual({ code: 1, json: { error: expect.stringContaining(error) }, stderr: "" });
    }
  });
}, 60_000);

test("the host's addresses: a container is connected, published, and gone after teardown, again and again", async () => {
  const sum = await createPayload(stage(), "payload", 4 << 20);
  await inNetwork(async (net) => {
    await startNginx(net);
    await startDnsmasq(net.peer, ["203.0.113.1"]);
    const document = attachment({}, {}, PORTS);
    const servers = await net.outside.start(`nsenter --net=${PATH} sh -c '${TELL_ADDRESSES}'`, {
      says: "serving",
    });
    // The same namespace again is what "podman network reload" does.
    for (const before of ["", "env -i"]) {
      const { code, json, stderr } = await call(net, `setup ${PATH}`, document, before);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(json).toEqual({
        dns_server_ips: ["169.254.1.1"],
        dns_search_domains: [],
        interfaces: {
          eth0: {
            mac_address: expect.stringMatching(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
            subnets: [
              { ipnet: "198.51.100.2/24", gateway: "198.51.100.1" },
              { ipnet: "2001:db8:1::2/64", gateway: "2001:db8:1::1" },
            ],
          },
        },
      });
      for (const { outside, peer, peerHost } of FAMILIES) {
        const fetch = `nsenter --net=${PATH} curl -sS http://${peerHost}/payload | sha256sum`;
        expect((await net.outside.run(fetch)).trim()).toBe(sum);
        expect(await askAddress(net.peer, "tcp", outside, 8080)).toBe(`tcp ${peer}`);
        expect(await askAddress(net.peer, "udp", outside, 5300)).toBe(`udp ${peer}`);
      }
      expect(await net.outside.run(`nsenter --net=${PATH} dig +short @169.254.1.1 www.test`)).toBe(
        "192.0.2.7\n",
      );
      const repeated = await call(net, `setup ${PATH}`, document);
      expect(repeated).toMatchObject({ code: 1, json: { error: expect.stringContaining("already served") } });
      const gone = { code: 0, json: undefined, stderr: "" };
      expect(await call(net, `teardown ${PATH}`, document, before)).toEqual(gone);
      expect(await net.outside.run("ss -Hlntu")).toBe("");
      expect(await call(net, `teardown ${PATH}`, document)).toEqual(gone);
    }
    await servers.kill();
  });
}, 60_000);

test("subnets of both families, an address in each, and the options of network and container", async () => {
  await inNetwork(async (net) => {
    await startNginx(net);
    const network = { subnets: SUBNETS, options: { mtu: "1400" }, dns_enabled: true };
    const own = {
      interface_name: "net7",
      static_ips: ["10.66.0.50", "fd66::50"],
      static_mac: "9a:00:00:00:00:09",
      options: { "no-offload": "true", "dns-forward": "none" },
    };
    const { code, json, stderr } = await call(net, `setup ${PATH}`, attachment(network, own));
    expect(code).toBe(0);
    expect(stderr).toMatch(/^bucatini: the network um1 has dns_enabled, but [^\n]*\n$/);
    expect(json).toEqual({
      dns_server_ips: [],
      dns_search_domains: [],
      interfaces: {
        net7: {
          mac_address: "9a:00:00:00:00:09",
          subnets: [
            { ipnet: "10.66.0.50/24", gateway: "10.66.0.1" },
            { ipnet: "fd66::50/64", gateway: "fd66::1" },
          ],
        },
      },
    });
    expect(await net.outside.run(`nsenter --net=${PATH} ip link show net7`)).toContain("mtu 1400");
    for (const { peerHost } of FAMILIES) {
      const status = `nsenter --net=${PATH} curl -sS -o /dev/null -w '%{http_code}' http://${peerHost}/nothing`;
      expect(await net.outside.run(status)).toBe("404");
    }
    expect((await call(net, `teardown ${PATH}`, attachment(network, own))).code).toBe(0);
  });
}, 60_000);

test("a setup that fails or is killed leaves nothing, and the next one succeeds", async () => {
  await inNetwork(async (net) => {
    const document = attachment({}, {}, PORTS);
    const blocker = await net.outside.start("socat TCP-LISTEN:8080,fork EXEC:cat", { port: 8080 });
    const busy = await call(net, `setup ${PATH}`, document);
    expect(busy).toMatchObject({ code: 1, json: { error: expect.stringContaining("8080") } });
    expect(await engines(net)).toBe("");
    await blocker.kill();
    for (const ms of [80, 120, 160, 200, 240, 280]) {
      const { heldOpen } = await net.outside.attempt(
        `timeout -s KILL ${ms / 1000} ${stage().dir}/dist/netavark/bucatini setup ${PATH}`,
        { input: JSON.stringify(document) },
      );
      expect(heldOpen).toBe(false);
      expect(await call(net, `teardown ${PATH}`, document)).toMatchObject({ code: 0 });
      expect(await engines(net)).toBe("");
    }
    expect((await call(net, `setup ${PATH}`, document)).code).toBe(0);
    // Nobody calls teardown when Podman itself is killed; the namespace goes with the container.
    await net.outside.run("ip netns del c1");
  });
}, 60_000);
