/**
 * A containerd of its own, in namespaces that belong to the machine's root and on directories that only exist there.
 * `ctr` reads /etc/cni/net.d and /opt/cni/bin and nothing else, so both get a layer to write on.
 */
import { expect } from "@jest/globals";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectNothingLeft, withNamespaces, type Network } from "./network.ts";
import type { Running } from "./process.ts";
import type { Stage } from "./stage.ts";

/** For pods and the containers in them; no registry is within reach. */
export const IMAGE = "bucatini.test/tools:1";

export interface Containerd {
  readonly net: Network;
  /** Where containerd listens; also reachable from this process. */
  readonly socket: string;
  /** Runs a script, with `ctr` for this containerd, B for the product's command and the directory W of everything. */
  readonly script: (text: string) => Promise<string>;
  /** Ends containerd with SIGKILL; containers live on. */
  readonly kill: () => Promise<void>;
  readonly start: () => Promise<void>;
}

const socketOf = (stage: Stage): string => join(stage.dir, "containerd.sock");

/** Directories, plugins beside ours, and a root file system. Each call of ours adds a line to $W/calls. */
const setUp = (stage: Stage): string => `set -e
  W=/run/scratch
  mkdir $W
  for name in etc opt; do
    mkdir $W/$name $W/$name.work
    mount -t overlay overlay -o lowerdir=/$name,upperdir=$W/$name,workdir=$W/$name.work /$name
  done
  mount --bind /run/resolv.conf /etc/resolv.conf
  mkdir -p /etc/cni/net.d /opt/cni/bin
  cat > /etc/cni/net.d/10-bucatini.conflist
  ln -sf /usr/lib/cni/* /opt/cni/bin
  cat > /opt/cni/bin/bucatini <<'END'
#!/bin/sh
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS" >> /run/scratch/calls
exec ${stage.dir}/dist/cni/bucatini
END
  chmod 755 /opt/cni/bin/bucatini
  mkdir -p $W/rootfs/bin $W/rootfs/tmp
  for file in $(for name in busybox socat; do command -v $name; ldd $(command -v $name) | grep -o '/[^ ]*'; done); do
    mkdir -p $W/rootfs$(dirname $file)
    cp $file $W/rootfs$file
  done
  for name in sh ip wget nslookup ping sha256sum sleep; do ln -s $(command -v busybox) $W/rootfs/bin/$name; done
  tar -C $W/rootfs -cf ${stage.dir}/layer.tar .
  cat > $W/config.toml <<END
version = 2
root = "$W/root"
state = "$W/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "${socketOf(stage)}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${IMAGE}"
disable_apparmor = true
disable_cgroup = true
restrict_oom_score_adj = true
END
  `;

/** Runs `body` with a containerd that uses the network configuration, and checks that nothing is left. */
export async function withContainerd(
  stage: Stage,
  config: unknown,
  body: (containerd: Containerd) => Promise<void>,
): Promise<void> {
  expect(process.geteuid?.()).toBe(0);
  await withNamespaces(stage, { asRoot: true }, async (net) => {
    await net.outside.run(setUp(stage), { input: JSON.stringify(config) });
    let running: Running | undefined;
    const containerd: Containerd = {
      net,
      socket: socketOf(stage),
      script: async (text) =>
        net.outside.run(
          `B=${stage.bucatini} W=/run/scratch; ctr() { command ctr -a ${socketOf(stage)} "$@"; }; set -e\n${text}`,
          { seconds: 60 },
        ),
      kill: async () => void (await running?.kill()),
      start: async () => {
        running = await net.outside.start("containerd -c /run/scratch/config.toml", {
          says: "containerd successfully booted",
        });
      },
    };
    await containerd.start();
    await body(containerd);
    await expectNothingLeft(net);
  });
}

/** Imports an image of busybox and socat: an OCI image layout (image-spec, image-layout.md) of one layer. */
export async function importImage(
  stage: Stage,
  containerd: Containerd,
  namespace = "k8s.io",
  name = IMAGE,
): Promise<void> {
  const layout = join(stage.dir, "image");
  mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
  const blob = (type: string, content: Buffer | object) => {
    const bytes = content instanceof Buffer ? content : Buffer.from(JSON.stringify(content));
    const mediaType = `application/vnd.oci.image.${type}`;
    const hex = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(layout, "blobs/sha256", hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const layer = blob("layer.v1.tar", readFileSync(join(stage.dir, "layer.tar")));
  const config = blob("config.v1+json", {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Entrypoint: ["/bin/sleep", "100000"] },
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  });
  const manifest = blob("manifest.v1+json", { schemaVersion: 2, config, layers: [layer] });
  const annotations = { "io.containerd.image.name": name };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await containerd.script(`tar -C ${layout} -cf - . | ctr -n ${namespace} image import - >/dev/null`);
}
