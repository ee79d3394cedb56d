/** Bundles for OCI runtimes, with busybox as the root file system and the hook in their configuration. */
import type { Stage } from "./stage.ts";

type HookStage = "prestart" | "createRuntime" | "poststart";

export interface Bundle {
  /** Shell script in the container. */
  readonly script: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** When to connect; createRuntime unless given. */
  readonly at?: readonly HookStage[];
  /** Seconds that the hook may take. */
  readonly timeout?: number;
  /** The container has no network namespace of its own. */
  readonly sharesNetwork?: boolean;
  /** The network namespace that the container joins. */
  readonly netns?: string;
  /** The container makes a user namespace in which this user is root, or joins the one at this path. */
  readonly user?: number | string;
  readonly readonlyRoot?: boolean;
  readonly mounts?: readonly Readonly<Record<string, unknown>>[];
}

/** busybox's ping wants a raw socket; runtimes usually allow it. */
const CAPABILITIES = ["CAP_NET_RAW", "CAP_NET_BIND_SERVICE"];
const APPLETS = "sh ip wget nslookup ping sha256sum sleep cat ls echo true grep";

/** What comes before a command of each runtime: where its state is, and as little of control groups as it can do with. */
export const RUNTIMES = {
  runc: "runc --root $TMPDIR/runc --rootless true",
  // It refuses machines with both kinds of control groups, though it is to use none.
  crun: `unshare -m sh -c 'mount -t tmpfs tmpfs /sys/fs/cgroup; exec crun --root $TMPDIR/crun --cgroup-manager disabled "$@"' crun`,
} as const;
export type RuntimeName = keyof typeof RUNTIMES;
export const RUNTIME_NAMES = Object.keys(RUNTIMES) as RuntimeName[];

/** Shell commands that make a bundle in $TMPDIR/scratch, with an empty environment for the hook, and go there. */
export function makeBundle(stage: Stage, bundle: Bundle): string {
  return `set -e
    mkdir -p $TMPDIR/scratch/rootfs/bin $TMPDIR/scratch/rootfs/proc $TMPDIR/scratch/rootfs/dev
    cd $TMPDIR/scratch
    for program in $(command -v busybox) $(command -v socat); do
      for file in $program $(ldd $program | grep -o '/[^ ]*'); do
        mkdir -p rootfs$(dirname $file)
        cp $file rootfs$file
      done
    done
    for name in ${APPLETS}; do ln -sf $(command -v busybox) rootfs/bin/$name; done
    cat > config.json <<'END'
${JSON.stringify(configuration(stage, bundle))}
END
`;
}

function configuration(stage: Stage, bundle: Bundle): unknown {
  const { script, at = ["createRuntime"], user, netns, timeout, sharesNetwork = false } = bundle;
  const hook = {
    path: `${stage.dir}/dist/hooks/bucatini-oci-hook`,
    args: ["bucatini-oci-hook"],
    env: [],
    ...(timeout !== undefined && { timeout }),
  };
  return {
    ociVersion: "1.0.2",
    root: { path: "rootfs", readonly: bundle.readonlyRoot ?? false },
    process: {
      user: { uid: 0, gid: 0 },
      cwd: "/",
      args: ["/bin/sh", "-c", script],
      env: ["PATH=/bin:/usr/bin"],
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }, ...(bundle.mounts ?? [])],
    hooks: { ...Object.fromEntries(at.map((name) => [name, [hook]])), poststop: [hook] },
    annotations: bundle.annotations ?? {},
    linux: {
      namespaces: [
        ...["pid", "mount", "ipc", "uts"].map((type) => ({ type })),
        ...(sharesNetwork ? [] : [{ type: "network", ...(netns !== undefined && { path: netns }) }]),
        ...(user === undefined ? [] : [{ type: "user", ...(typeof user === "string" && { path: user }) }]),
      ],
      ...(typeof user === "number" && {
        uidMappings: [{ containerID: 0, hostID: user, size: 1 }],
        gidMappings: [{ containerID: 0, hostID: user, size: 1 }],
      }),
    },
  };
}
