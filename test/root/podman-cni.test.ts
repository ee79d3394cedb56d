/**
 * Rootless Podman 4 with the CNI plugin. The plugin is called in a network namespace that all containers of a user
 * share and that slirp4netns connects; Podman publishes ports itself, by connecting from inside the container.
 */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { askAddress, FETCHES, usePodman } from "../support/podman.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** Its addresses are not taken from the namespace around it, which slirp4netns gives IPv6 only after a while. */
const ADDRESSES = {
  addresses: ["198.51.100.130/25", "2001:db8:77::2/64"],
  gateways: ["198.51.100.129", "2001:db8:77::1"],
};
const CAPABILITIES = { capabilities: { portMappings: true, ips: true, mac: true } };
const network = (name: string, more: Record<string, unknown>): Record<string, unknown> => ({
  cniVersion: "1.0.0",
  name,
  plugins: [{ type: "bucatini", ...CAPABILITIES, ...more }],
});

/** The first container makes the namespace around it, and has to wait for its IPv6. */
const FETCHES_LATER = `until wget -q -O /dev/null http://${FAMILIES[1]?.peerHost}/payload 2> /dev/null; do
    sleep 0.05; done; ${FETCHES}`;

const podman = usePodman(stage, ({ dir }) => ({
  version: 4,
  network: ['network_backend = "cni"', `cni_plugin_dirs = ["${dir}/dist/cni", "/usr/lib/cni"]`],
  files: {
    "cni/net.d/uplink.conflist": network("uplink", ADDRESSES),
    "cni/net.d/second.conflist": network("second", {
      addresses: ["198.51.100.66/26", "2001:db8:78::2/64"],
      gateways: ["198.51.100.65", "2001:db8:78::1"],
    }),
    "cni/net.d/pool.conflist": network("pool", {
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: "198.51.100.128/25" }], [{ subnet: "2001:db8:77::/64" }]],
        routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      },
    }),
    "cni/net.d/host.conflist": network("host-like", {}),
    "cni/net.d/wrong.conflist": network("wrong", { mtu: "big" }),
  },
}));

test("a container reaches the peer over both families and finds names", async () => {
  const output = await podman().run(
    `podman run --rm --network uplink box sh -c 'ip -o address show dev eth0
      ${FETCHES_LATER}
      nslookup www.test'`,
  );
  expect(output).toContain("inet 198.51.100.130/25");
  expect(output).toContain("inet6 2001:db8:77::2/64");
  expect(output.split(podman().payload)).toHaveLength(3);
  expect(output).toContain("192.0.2.7");
}, 60_000);

test("published ports are reached over TCP and UDP, also after a restart", async () => {
  const { net } = podman();
  await podman().serve("c1", "--network uplink -p 8080:80 -p 5300:53/udp");
  for (const times of [1, 2]) {
    await podman().serving("c1", times);
    for (const { outside } of FAMILIES) {
      // rootlessport is in the container's namespace, and connects to the first of its addresses.
      expect(await askAddress(net.peer, "tcp", outside, 8080)).toBe("tcp 198.51.100.130");
      expect(await askAddress(net.peer, "udp", outside, 5300)).toBe("udp 198.51.100.130");
    }
    if (times === 1) await podman().run("podman restart --time 5 c1");
  }
  await podman().run("podman stop --time 5 c1");
}, 60_000);

/** The addresses in what ip(8) prints, those aside that the kernel gives itself. */
const addressesIn = (output: string): string =>
  (output.match(/(?<=link\/ether )02:\S+|(?<=inet6? )(?!fe80)\S+/g) ?? []).join(" ");

test("addresses and a MAC address can be chosen, with and without an IPAM plugin", async () => {
  const asked = [
    "uplink --ip 198.51.100.140 --mac-address 02:00:00:00:00:77",
    "uplink:ip=198.51.100.141,ip=2001:db8:77::9",
    "pool:ip=198.51.100.141,ip=2001:db8:77::9",
    "pool --ip 198.51.100.155",
  ];
  const runs = asked.map(
    (words) => `podman run --rm --network ${words} box ip address show dev eth0; echo end`,
  );
  const outputs = (await podman().run(runs.join("\n"))).split("end\n").slice(0, -1);
  expect(outputs.map(addressesIn)).toEqual([
    "02:00:00:00:00:77 198.51.100.140/25 2001:db8:77::2/64",
    "198.51.100.141/25 2001:db8:77::9/64",
    "198.51.100.141/25 2001:db8:77::9/64",
    "198.51.100.155/25 2001:db8:77::2/64",
  ]);
}, 60_000);

test("two networks are two interfaces, and the first that is connected is the way out", async () => {
  const output = await podman().run(
    `podman run --rm --network uplink --network second box sh -c 'ip address; ip route; ip -6 route; ${FETCHES_LATER}'`,
  );
  for (const address of ["198.51.100.130/25", "198.51.100.66/26"])
    expect(output).toContain(`inet ${address}`);
  expect(output.match(/^default via /gm)).toHaveLength(2);
  expect(output.split(podman().payload)).toHaveLength(3);
}, 60_000);

test("a running container is disconnected, connected and reloaded", async () => {
  const { net } = podman();
  await podman().serve("c2", "--network uplink -p 8080:80");
  const show = "podman exec c2 ip -o address show scope global";
  const before = await podman().run(show);
  await podman().run("podman network reload c2");
  expect(addressesIn(await podman().run(show))).toEqual(addressesIn(before));
  expect(await askAddress(net.peer, "tcp", "198.51.100.2", 8080)).toBe("tcp 198.51.100.130");
  await podman().run("podman network disconnect uplink c2");
  expect(await podman().run(show)).toBe("");
  await podman().run("podman network connect uplink c2");
  expect(addressesIn(await podman().run(show))).toEqual(addressesIn(before));
  expect(await podman().run(`podman exec c2 sh -c '${FETCHES}'`)).toContain(podman().payload);
}, 60_000);

test("kill -9 of container, conmon and Podman leaves nothing when the container is removed", async () => {
  await podman().serve("c3", "--network uplink -p 8080:80");
  await podman().run(`kill -9 $(podman inspect --format '{{.State.ConmonPid}} {{.State.Pid}}' c3)`);
  await podman().remove("c3");
  const client = await podman().user.start("podman run --name c3 --network uplink -p 8080:80 box sleep 1000");
  await podman().run("until podman exec c3 true 2> /dev/null; do sleep 0.05; done");
  await client.kill();
  expect(await podman().engines()).not.toBe("");
  await podman().remove("c3");
  expect(await podman().engines()).toBe("");
}, 60_000);

test("a network that cannot be had is named with the reason, and the others are taken back", async () => {
  const output = await podman().run(
    'podman run --rm -p 8080:80 --network uplink --network wrong box echo started || echo "status $?"',
  );
  expect(output).toContain('plugin type="bucatini" failed (add): cni plugin bucatini failed: ');
  expect(output).toContain("/mtu must be integer");
  expect(output).toMatch(/^status 126$/m);
  expect(output).not.toMatch(/^started$/m);
  expect(await podman().engines()).toBe("");
  // Podman forgets slirp4netns when a start fails, and remembers it when another container ends.
  await podman().run("podman run --rm --network uplink box true");
}, 60_000);

test("Podman, which asks the plugin for its versions with every command, has nothing to complain of", async () => {
  expect(await podman().run("podman network ls --format '{{.Name}} {{.Driver}}' | sort")).toBe(
    "host-like bucatini\npodman bridge\npool bucatini\nsecond bucatini\nuplink bucatini\nwrong bucatini\n",
  );
}, 60_000);

test("with the broker engines are outside: the host's addresses, both families at once, the same ports", async () => {
  const { net, user } = podman();
  const broker = await user.start(`${stage().bucatini} broker`, { says: "listens at" });
  await podman().serve("c4", "--network host-like -p 8080:80 -p 5300:53/udp");
  const output = await podman().run(
    `podman exec c4 sh -c 'ip -o address show dev eth0; ${FETCHES}; cat /etc/resolv.conf; nslookup www.test'`,
  );
  expect(addressesIn(output)).toBe("198.51.100.2/24 2001:db8:1::2/64");
  expect(output.split(podman().payload)).toHaveLength(3);
  expect(output).toContain("192.0.2.7");
  for (const times of [1, 2]) {
    await podman().serving("c4", times);
    const engine = /^\S+ +(\d+)/.exec(await podman().engines())?.[1];
    expect(await net.outside.run(`readlink /proc/${engine}/ns/net`)).toBe(
      await net.outside.run("readlink /proc/self/ns/net"),
    );
    for (const { outside } of FAMILIES) {
      expect(await askAddress(net.peer, "tcp", outside, 8080)).toBe("tcp 198.51.100.2");
      expect(await askAddress(net.peer, "udp", outside, 5300)).toBe("udp 198.51.100.2");
    }
    await podman().run("podman network reload c4");
    expect(await askAddress(net.peer, "tcp", "198.51.100.2", 8080)).toBe("tcp 198.51.100.2");
    if (times === 1) await podman().run("podman restart --time 5 c4");
  }
  // Engines outlive the broker.
  await broker.kill("SIGTERM");
  expect(await podman().run(`podman exec c4 sh -c '${FETCHES}'`)).toContain(podman().payload);
  await podman().run("podman stop --time 5 c4");
  expect(await podman().engines()).toBe("");
}, 60_000);
