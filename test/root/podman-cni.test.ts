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

const podman = usePodman(stage, ({ dir }) => ({
  version: 4,
  network: ['network_backend = "cni"', `cni_plugin_dirs = ["${dir}/dist/cni", "/usr/lib/cni"]`],
  files: {
    "cni/net.d/uplink.conflist": network("uplink", ADDRESSES),
    "cni/net.d/second.conflist": network("second", {
      addresses: ["198.51.100.66/26", "2001:db8:78::2/64"],
      gateways: ["198.51.100.65", "2001:db8:78::1"],
    }),
    "cni/net.d/wrong.conflist": network("wrong", { mtu: "big" }),
  },
}));

test("a container reaches the peer over both families and finds names", async () => {
  const output = await podman().run(
    // The first container makes the namespace around it, and waits for its IPv6.
    `podman run --rm --network uplink box sh -c 'ip -o address show dev eth0
      until wget -q -O /dev/null http://${FAMILIES[1]?.peerHost}/payload 2> /dev/null; do sleep 0.05; done
      ${FETCHES}
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
