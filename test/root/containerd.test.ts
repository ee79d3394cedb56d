/**
 * containerd's own client with the plugin, in namespaces that belong to the machine's root and on directories that
 * only exist there. `ctr` reads /etc/cni/net.d and /opt/cni/bin and nothing else, so both get a layer to write on.
 */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

/** Directories, configuration, plugin and a root file system of busybox. `$W` is the work directory. */
const setUp = (): string => `set -e
  W=/run/work
  mkdir $W
  for name in etc opt; do
    mkdir $W/$name $W/$name.work
    mount -t overlay overlay -o lowerdir=/$name,upperdir=$W/$name,workdir=$W/$name.work /$name
  done
  mount --bind /run/resolv.conf /etc/resolv.conf
  mkdir -p /etc/cni/net.d /opt/cni/bin
  cat > /etc/cni/net.d/10-bucatini.conflist
  cat > /opt/cni/bin/bucatini <<'END'
#!/bin/sh
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS" >> /run/work/calls
exec ${stage().dir}/dist/cni/bucatini
END
  chmod 755 /opt/cni/bin/bucatini
  mkdir -p $W/rootfs/bin
  for file in $(command -v busybox) $(ldd $(command -v busybox) | grep -o '/[^ ]*'); do
    mkdir -p $W/rootfs$(dirname $file)
    cp $file $W/rootfs$file
  done
  for name in sh ip wget nslookup ping sha256sum sleep; do ln -s $(command -v busybox) $W/rootfs/bin/$name; done
  cat > $W/config.toml <<END
version = 2
root = "$W/root"
state = "$W/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$W/sock"
END
  `;

const prelude = (): string => `
  B=${stage().bucatini}
  calls() { sed 's|/proc/[0-9]*/|/proc/PID/|' /run/work/calls; }
  ctr() { command ctr -a /run/work/sock "$@"; }
  run() { ctr run --cni --rootfs --cgroup "" "$@"; }
  F=/run/work/rootfs
  `;

const CONFIG = { cniVersion: "1.0.0", name: "net", plugins: [{ type: "bucatini" }] };

/** Runs `body` with a containerd that uses the network configuration, and checks that nothing is left. */
async function withContainerd(config: unknown, body: (net: Network) => Promise<void>): Promise<void> {
  expect(process.geteuid?.()).toBe(0);
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    await net.outside.run(setUp(), { input: JSON.stringify(config) });
    await net.outside.start("containerd -c /run/work/config.toml", {
      says: "containerd successfully booted",
    });
    await body(net);
    await expectNothingLeft(net);
  });
}

const script = (net: Network, text: string): Promise<string> =>
  net.outside.run(`${prelude()}\nset -e\n${text}`, { seconds: 60 });

test("ctr run --cni: the container is connected, and with its end everything goes", async () => {
  const sum = await createPayload(stage(), "payload", 4 * 1024 * 1024);
  await withContainerd(CONFIG, async (net) => {
    await startNginx(net);
    await startDnsmasq(
      net.peer,
      FAMILIES.map((family) => family.peer),
    );
    const fetches = FAMILIES.map(({ peerHost }) => `wget -q -O - http://${peerHost}/payload | sha256sum`);
    const output = await script(
      net,
      `run --rm $F c1 /bin/sh -c 'ip -o address show dev eth0; ${fetches.join("; ")}
        nslookup www.test 169.254.1.1; ping -c 1 -W 5 ${FAMILIES[0]?.peer}'
      calls
      $B list`,
    );
    expect(output).toContain("inet 198.51.100.2/24");
    expect(output).toContain("inet6 2001:db8:1::2/64");
    expect(output.split(sum)).toHaveLength(3);
    expect(output).toContain("192.0.2.7");
    expect(output).toContain("1 packets received");
    expect(output).toContain("ADD default-c1 eth0 /proc/PID/ns/net\nDEL default-c1 eth0 \n");
    expect(output).toMatch(/ID +ENGINE +TARGET +INTERFACE +ADDRESSES\n$/);
  });
}, 120_000);

test("ctr run -d --cni: the engine serves until the container ends, however that is", async () => {
  await withContainerd(
    { ...CONFIG, plugins: [{ type: "bucatini", ipv6: false, mtu: 1400 }] },
    async (net) => {
      const output = await script(
        net,
        `for signal in TERM KILL; do
        run -d $F c2 /bin/sh -c 'trap "exit 0" TERM; while :; do sleep 0.1; done'
        $B list | tail -n +2
        ctr task exec --exec-id e1 c2 /bin/ip -o link show dev eth0
        ctr task kill -s $signal c2
        until ctr task ls | grep -q STOPPED; do sleep 0.05; done
        ctr task rm c2 2>/dev/null || true
        ctr container rm c2
        for i in $(seq 50); do [ "$($B list | tail -n +2)" ] || break; sleep 0.02; done
        $B list | tail -n +2
      done`,
      );
      expect(
        output.match(/^default-c2-[0-9a-f]{16} +\d+ +pid \d+ +eth0 +198\.51\.100\.2\/24$/gm),
      ).toHaveLength(2);
      expect(output.match(/ eth0: .* mtu 1400 /g)).toHaveLength(2);
    },
  );
}, 120_000);

test("a container whose network cannot be made does not start, and the reason is shown", async () => {
  await withContainerd({ ...CONFIG, plugins: [{ type: "bucatini", mtu: "big" }] }, async (net) => {
    const output = await script(
      net,
      `run --rm $F c3 /bin/sh -c 'echo started' 2>&1 || echo "status $?"
      calls
      $B list | tail -n +2
      # Left by ctr itself.
      ctr task rm -f c3 || true
      ctr container rm c3`,
    );
    expect(output).toContain("invalid network configuration; /mtu must be integer");
    expect(output).not.toContain("started");
    expect(output).toContain("status 1");
    expect(output).toContain("ADD default-c3 eth0 /proc/PID/ns/net\n");
  });
}, 120_000);
