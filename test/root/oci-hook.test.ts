/** runc and crun start the hook, as their bundles' configuration says, in small networks of namespaces. */
import { expect, test } from "@jest/globals";
import { FAMILIES } from "../support/families.ts";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { createPayload, startDnsmasq, startNginx } from "../support/servers.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

type Stage = "prestart" | "createRuntime";

interface Bundle {
  /** Shell script in the container. */
  readonly script: string;
  readonly annotations?: Record<string, string>;
  /** When to connect. */
  readonly at?: Stage;
  readonly sharesNetwork?: boolean;
}

/** busybox's ping wants a raw socket; runtimes usually allow it. */
const PING = ["CAP_NET_RAW"];

/** A bundle in /run/work with busybox as its root file system and the hook twice, with an empty environment. */
function setUp({ script, annotations = {}, at = "createRuntime", sharesNetwork = false }: Bundle): string {
  const hook = { path: `${stage().dir}/dist/hooks/bucatini-oci-hook`, args: ["bucatini-oci-hook"], env: [] };
  const kinds = ["pid", "mount", "ipc", "uts", ...(sharesNetwork ? [] : ["network"])];
  const config = {
    ociVersion: "1.0.2",
    root: { path: "rootfs" },
    process: {
      user: { uid: 0, gid: 0 },
      cwd: "/",
      args: ["/bin/sh", "-c", script],
      env: ["PATH=/bin"],
      capabilities: { bounding: PING, effective: PING, permitted: PING },
    },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    hooks: { [at]: [hook], poststop: [hook] },
    annotations,
    linux: { namespaces: kinds.map((type) => ({ type })) },
  };
  return `set -e
    mkdir -p /run/work/rootfs/bin /run/work/rootfs/proc /run/work/rootfs/dev
    cd /run/work
    for file in $(command -v busybox) $(ldd $(command -v busybox) | grep -o '/[^ ]*'); do
      mkdir -p rootfs$(dirname $file)
      cp $file rootfs$file
    done
    for name in sh ip wget nslookup ping sha256sum sleep; do ln -sf $(command -v busybox) rootfs/bin/$name; done
    cat > config.json <<'END'
${JSON.stringify(config)}
END
`;
}

/** What comes before a command of each runtime: where its state is, and as little of control groups as it can do with. */
const RUNTIMES = {
  runc: "runc --root /run/runc --rootless true",
  // It refuses machines with both kinds of control groups, though it is to use none.
  crun: "unshare -m sh -c 'mount -t tmpfs tmpfs /sys/fs/cgroup; exec crun --root /run/crun --cgroup-manager disabled \"$@\"' crun",
} as const;
const NAMES = Object.keys(RUNTIMES) as (keyof typeof RUNTIMES)[];

const inBundle = (net: Network, bundle: Bundle, script: string): Promise<string> =>
  net.outside.run(`${setUp(bundle)}\n${script}`, { seconds: 60 });

/** As the machine's root, and as root of a user namespace of an ordinary user, which is what rootless Podman is. */
const cases = NAMES.flatMap((name) =>
  (["createRuntime", "prestart"] as const).flatMap((at) =>
    [true, false].map((asRoot) => ({ name, at, asRoot })),
  ),
);

test.each(cases)(
  "$name, hook at $at, root of the machine $asRoot: the network is ready, and with the program's end everything goes",
  async ({ name, at, asRoot }) => {
    const sum = await createPayload(stage(), "payload", 4 << 20);
    await withNamespaces(stage(), { asRoot }, async (net) => {
      await startNginx(net);
      await startDnsmasq(
        net.peer,
        FAMILIES.map((family) => family.peer),
      );
      const fetches = FAMILIES.map(({ peerHost }) => `wget -q -O - http://${peerHost}/payload | sha256sum`);
      const script = `ip -o address show dev uplink; ip -o link show dev uplink; ${fetches.join("; ")}
        nslookup www.test 169.254.1.1; ping -c 1 -W 5 ${FAMILIES[0]?.peer}`;
      const annotations = { "org.bucatini.mtu": "1400", "org.bucatini.ifname": "uplink" };
      const output = await inBundle(
        net,
        { script, annotations, at },
        `${RUNTIMES[name]} run c1 < /dev/null 2>&1
        ${stage().bucatini} list`,
      );
      expect(output).toContain("inet 198.51.100.2/24");
      expect(output).toContain("inet6 2001:db8:1::2/64");
      expect(output).toContain("mtu 1400");
      expect(output.split(sum)).toHaveLength(3);
      expect(output).toContain("192.0.2.7");
      expect(output).toContain("1 packets received");
      expect(output).toMatch(/ID +ENGINE +TARGET +INTERFACE +ADDRESSES\n$/);
      await net.outside.run("rm -r /run/work $T/nginx");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

test.each(NAMES)(
  "%s: the engine is there from create to delete, under the container's name",
  async (name) => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const runtime = RUNTIMES[name];
      const output = await inBundle(
        net,
        { script: "exec sleep 1000" },
        `list() { ${stage().bucatini} list | tail -n +2; }
        ${runtime} create c2 < /dev/null > /dev/null 2>&1
        list
        ${runtime} start c2
        list
        ${runtime} kill c2 KILL
        ${runtime} delete --force c2
        echo deleted
        list`,
      );
      expect(output).toMatch(/^(c2-[0-9a-f]{16} +\d+ +pid \d+ +eth0 .*)\n\1\ndeleted\n$/);
      await net.outside.run("rm -r /run/work");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

const MISTAKES = [
  [
    { annotations: { "org.bucatini.mtus": "1400" } },
    "cannot use the annotation org.bucatini.mtus: there is no such option",
  ],
  [{ annotations: { "org.bucatini.mtu": "12" } }, "--mtu 12: not a number from 68 to 65520"],
  [{ sharesNetwork: true }, "it is in the network namespace of this command, so there is nothing to connect"],
] as const;

test.each(MISTAKES)(
  "runc with %j starts nothing and shows why",
  async (bundle, why) => {
    await withNamespaces(stage(), { asRoot: true }, async (net) => {
      const output = await inBundle(
        net,
        { script: "echo started", ...bundle },
        `${RUNTIMES.runc} run c3 < /dev/null 2>&1 || echo "status $?"
      ${RUNTIMES.runc} list -q
      ${stage().bucatini} list | tail -n +2`,
      );
      expect(output).toContain(why);
      expect(output).not.toContain("started");
      expect(output).toContain("status 1");
      expect(output).not.toContain("c3\n");
      await net.outside.run("rm -r /run/work");
      await expectNothingLeft(net);
    });
  },
  60_000,
);

const STATE = { ociVersion: "1.0.2", id: "c4", bundle: "/" };

/** Starts the hook by hand, without any environment. */
const give = (net: Network, state: string): Promise<string> =>
  net.outside.run(
    `printf '%s' '${state}' | env -i ${stage().dir}/dist/hooks/bucatini-oci-hook 2>&1; echo "status $?"`,
  );

test("poststop ends the engine of a namespace that somebody still holds, once or twice", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    const holder = await net.outside.start("unshare -n sh -c 'echo ready; echo $$; exec sleep 1000'", {
      says: "ready\n",
    });
    const pid = Number(/ready\n(\d+)/.exec(holder.output())?.[1]);
    const list = (): Promise<string> => net.outside.run(`${stage().bucatini} list | tail -n +2`);
    expect(await give(net, JSON.stringify({ ...STATE, status: "created", pid }))).toBe("status 0\n");
    expect(await list()).toMatch(/^c4-/);
    // At another stage, and for another container that shares the namespace, it is left as it is.
    for (const more of [{ status: "running" }, { status: "created", id: "c5" }]) {
      expect(await give(net, JSON.stringify({ ...STATE, ...more, pid }))).toBe("status 0\n");
    }
    expect(await give(net, JSON.stringify({ ...STATE, id: "c5", status: "stopped" }))).toBe("status 0\n");
    expect(await list()).toMatch(/^c4-[^\n]*\n$/);
    for (const more of [{}, { pid: 0 }]) {
      const stopped = JSON.stringify({ ...STATE, ...more, status: "stopped" });
      expect(await give(net, stopped)).toBe("status 0\n");
      expect(await list()).toBe("");
    }
    await holder.kill();
    await expectNothingLeft(net);
  });
}, 60_000);

test("a state that asks for nothing is a success, one that makes no sense is not", async () => {
  await withNamespaces(stage(), { asRoot: true }, async (net) => {
    expect(await give(net, JSON.stringify({ ...STATE, status: "paused", pid: 1 }))).toBe("status 0\n");
    expect(await give(net, JSON.stringify({ ...STATE, status: "creating" }))).toBe("status 0\n");
    expect(await give(net, "")).toContain("to be started by an OCI runtime\nstatus 2\n");
    const gone = JSON.stringify({ ...STATE, status: "creating", pid: 4_000_000 });
    expect(await give(net, gone)).toContain("status 3\n");
    await expectNothingLeft(net);
  });
}, 60_000);
