/** The commands of README.md, "Container engines", as they stand there, with the real engines. */
import { beforeAll, describe, expect, test } from "@jest/globals";
import { IMAGE, importImage, withContainerd } from "../support/containerd.ts";
import { Cri } from "../support/cri.ts";
import { expectNothingLeft, withNamespaces } from "../support/network.ts";
import { usePodman, type PodmanOptions } from "../support/podman.ts";
import { addLayers, readmeBlocks, stageInstaller, type } from "../support/readme.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();
const BUSYBOX = "docker.io/library/busybox:latest";

beforeAll(() => stageInstaller(stage()));

/** The host's address, which containers have too. */
const HOST_ADDRESS = "inet 198.51.100.2/24";
/** The same where Podman 4 calls the plugin, which slirp4netns connects. */
const INNER_ADDRESS = "inet 10.0.2.100/24";

const PODMANS: { heading: string; options: PodmanOptions; addresses: string[] }[] = [
  {
    heading: "Podman 5",
    options: { version: 5, network: ['firewall_driver = "iptables"'] },
    addresses: [HOST_ADDRESS],
  },
  {
    heading: "Podman 4",
    options: { version: 4, network: ['network_backend = "cni"'] },
    addresses: [HOST_ADDRESS, INNER_ADDRESS],
  },
];

describe.each(PODMANS)("$heading", ({ heading, options, addresses }) => {
  const podman = usePodman(stage, () => options);
  const blocks = readmeBlocks(heading);
  beforeAll(async () => {
    await addLayers(podman().net);
    await podman().run(`podman tag box ${BUSYBOX}`);
  });

  test.each(addresses.map((address, index) => [address, blocks[index] ?? ""]))(
    "%s",
    async (address, block) => {
      expect(blocks).toHaveLength(addresses.length);
      const { net, user } = podman();
      expect(await type(net, user, block)).toContain(address);
      await net.outside.run("sh $T/install.sh uninstall; [ ! -e /usr/local/lib/bucatini ]");
    },
  );
});

test("Install", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    await addLayers(net);
    const output = await type(net, net.user, readmeBlocks("Install").join(""));
    expect(output).toMatch(/^ok +TAP device/m);
    expect(output).toMatch(/^ok +CNI plugin +\/usr\/local\/libexec\/cni\/bucatini$/m);
    expect(output).toMatch(/^ok +netavark +\/usr\/local\/libexec\/netavark\/bucatini/m);
    await expectNothingLeft(net);
  });
}, 60_000);

test("containerd, nerdctl, Kubernetes", async () => {
  await withContainerd(stage(), {}, async (containerd) => {
    const { net, socket, script } = containerd;
    // The others are there, and containerd watches them.
    await addLayers(net, ["usr/local"]);
    await net.outside.run("rm /opt/cni/bin/bucatini /etc/cni/net.d/*");
    await importImage(stage(), containerd, "default", BUSYBOX);
    const ctr = `ctr() { shift; command ctr -a ${socket} run --cgroup "" "$@"; }\n`;
    const block = readmeBlocks("containerd, nerdctl, Kubernetes").join("");
    const output = await type(net, net.outside, block, ctr);
    expect(output).toContain(HOST_ADDRESS);

    await importImage(stage(), containerd);
    const cri = new Cri(containerd.socket);
    const pod = { name: "pod", ports: [{ host_port: 8001, container_port: 80 }] };
    const podId = await cri.runPod(pod);
    await cri.runContainer(podId, pod, IMAGE, ["socat", "TCP-LISTEN:80,fork", "SYSTEM:echo served"]);
    expect(
      await net.peer.run("until socat -u TCP:198.51.100.2:8001 - | grep served; do sleep 0.05; done"),
    ).toBe("served\n");
    await cri.call("StopPodSandbox", { pod_sandbox_id: podId });
    await cri.call("RemovePodSandbox", { pod_sandbox_id: podId });
    cri.close();
    expect(await script("$B list | tail -n +2")).toBe("");
  });
}, 60_000);

test.each([
  ["runc", "runc --root /run/runc --rootless true"],
  ["crun", "mount -t tmpfs tmpfs /sys/fs/cgroup; crun --root /run/crun --cgroup-manager disabled"],
])(
  "%s",
  async (_, runtime) => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      await addLayers(net);
      const [hooks = ""] = readmeBlocks("crun, runc");
      const config = {
        ociVersion: "1.0.2",
        root: { path: "rootfs" },
        process: { user: { uid: 0, gid: 0 }, cwd: "/", args: ["/bin/ip", "address"], env: ["PATH=/bin"] },
        mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
        ...JSON.parse(`{${hooks}}`),
        linux: { namespaces: ["pid", "mount", "network"].map((kind) => ({ type: kind })) },
      };
      const output = await net.outside.run(
        `set -e
      sh $T/install.sh install
      mkdir -p /run/scratch/rootfs/bin /run/scratch/rootfs/proc /run/scratch/rootfs/dev
      cd /run/scratch
      cat > config.json
      for file in $(command -v busybox) $(ldd $(command -v busybox) | grep -o '/[^ ]*'); do
        mkdir -p rootfs$(dirname $file)
        cp $file rootfs$file
      done
      ln -s $(command -v busybox) rootfs/bin/ip
      ${runtime} run c1
      sh $T/install.sh uninstall`,
        { input: JSON.stringify(config) },
      );
      expect(output).toContain(HOST_ADDRESS);
      await expectNothingLeft(net);
    });
  },
  60_000,
);
